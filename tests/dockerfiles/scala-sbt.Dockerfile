ARG JDK=17
FROM eclipse-temurin:${JDK}-jdk-jammy AS base
ENV SBT_VERSION ${SBT_VERSION:-1.10.2}
RUN curl -fsL "https://releases.example/sbt/v$SBT_VERSION/sbt-$SBT_VERSION.tgz" | tar xfz - -C /usr/share && \
    chown -R root:root /usr/share/sbt && \
    ln -s /usr/share/sbt/bin/sbt /usr/local/bin/sbt
FROM base
WORKDIR /src
COPY project project
COPY build.sbt .
RUN sbt update
COPY . .
RUN sbt assembly

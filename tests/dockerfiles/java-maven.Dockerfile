FROM maven:3.9-eclipse-temurin-21 AS build
WORKDIR /build
COPY pom.xml .
COPY */pom.xml ./poms/
RUN --mount=type=cache,target=/root/.m2 mvn -B -e -C -T 1C org.apache.maven.plugins:maven-dependency-plugin:3.6.0:go-offline
COPY . .
RUN --mount=type=cache,target=/root/.m2 mvn -B -e -o -T 1C verify -DskipTests

FROM eclipse-temurin:21-jre
ARG UID=10001
RUN adduser --disabled-password --gecos "" --home "/nonexistent" --shell "/sbin/nologin" --no-create-home --uid "${UID}" appuser
USER appuser
COPY --from=build /build/target/*.jar /app/app.jar
ENV JAVA_OPTS=""
EXPOSE 8080
ENTRYPOINT exec java $JAVA_OPTS -jar /app/app.jar

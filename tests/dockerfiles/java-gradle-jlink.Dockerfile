FROM gradle:8-jdk21 AS build
COPY --chown=gradle:gradle . /home/gradle/src
WORKDIR /home/gradle/src
RUN gradle build --no-daemon
RUN jlink \
      --add-modules $(jdeps --ignore-missing-deps --print-module-deps build/libs/*.jar) \
      --strip-debug --no-man-pages --no-header-files --compress=2 \
      --output /jre

FROM debian:bookworm-slim
ENV JAVA_HOME=/opt/java/openjdk
ENV PATH "${JAVA_HOME}/bin:${PATH}"
COPY --from=build /jre $JAVA_HOME
COPY --from=build /home/gradle/src/build/libs/*.jar /opt/app.jar
CMD ["java", "-XX:MaxRAMPercentage=75", "-jar", "/opt/app.jar"]

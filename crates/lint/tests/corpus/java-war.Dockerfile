FROM maven:3.8-jdk-11 AS build
COPY pom.xml /build/
COPY src /build/src/
WORKDIR /build/
RUN mvn -B -q clean package -DskipTests
FROM tomcat:9.0
LABEL Vendor="Example" \
      org.label-schema.name="war" \
      com.docker.something="no"
RUN rm -rf /usr/local/tomcat/webapps/*
COPY --from=build /build/target/app.war /usr/local/tomcat/webapps/ROOT.war
RUN wget https://example.com/jmx.jar -O /opt/jmx.jar
RUN curl -sSL https://example.com/agent.tgz | tar xz -C /opt
EXPOSE 8080
CMD ["catalina.sh", "run"]

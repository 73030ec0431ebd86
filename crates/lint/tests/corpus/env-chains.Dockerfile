FROM debian:12
ENV JAVA_HOME=/opt/java PATH=$JAVA_HOME/bin:$PATH
ENV A=1 \
    B=${A}2 \
    C="$B 3"
ENV D $A
ARG E=1
ENV E=$E F=${E}
ENV API_KEY=x DB_PASSWORD="y"
ARG GITHUB_TOKEN
LABEL a.b=c A=b a_b-c.d="x" "quoted"="y"

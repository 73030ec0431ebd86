FROM debian:12-slim
RUN apt-get update -qq && apt-get install -qq -y wget=1.21.3-1 ca-certificates \
  && wget https://example.com/a.deb \
  && dpkg -i a.deb \
  && wget -nv https://example.com/b.deb && apt-get install -y ./b.deb
RUN wget -q -O - https://example.com/key.asc | apt-key add -
RUN echo "deb https://example.com stable main" | tee /etc/apt/sources.list.d/x.list
RUN apt update && apt install -y thing=1.0

FROM debian:12
RUN apt-get update && rm -rf /var/lib/apt/lists
RUN apt-get update && rm -fr /var/lib/apt/lists/*
RUN rm -rf /var/lib/apt/lists/* && apt-get update
RUN apt-get update && rm -r /var/lib/apt/lists/*
RUN apt-get update && rm -rf /tmp/* /var/lib/apt/lists/* /x
RUN apt update && rm -rf /var/lib/apt/lists/*
RUN aptitude update && rm -rf "/var/lib/apt/lists"/*
RUN apt-get -qq update

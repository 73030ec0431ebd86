# syntax=docker/dockerfile:1
# just a comment
FROM debian:12 # trailing
# another
RUN apt-get update \
    # why
    && apt-get install -y \
      # this
      curl \

      git \
    # done
    && rm -rf /var/lib/apt/lists/*
   RUN echo indented
	ENV TABBED=1
run lower

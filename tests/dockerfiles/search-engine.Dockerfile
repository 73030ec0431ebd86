################################################################################
# This Dockerfile was generated from a template.
################################################################################

FROM ubuntu:20.04 AS builder

RUN for iter in 1 2 3 4 5 6 7 8 9 10; do \
      apt-get update && apt-get install -y curl && exit_code=0 && break || \
        exit_code=$? && echo "apt error: retry $iter in 10s" && sleep 10; \
    done; \
    exit $exit_code

RUN mkdir /usr/share/search
WORKDIR /usr/share/search
RUN curl --retry 10 -S -L --output /tmp/search.tar.gz https://artifacts.example/search-8.15.0-linux-$(arch).tar.gz
RUN tar -zxf /tmp/search.tar.gz --strip-components=1
COPY config/search.yml config/log4j2.properties config/
RUN sed -i -e 's/SEARCH_DISTRIBUTION_TYPE=tar/SEARCH_DISTRIBUTION_TYPE=docker/' bin/search-env && \
    mkdir data && \
    chmod 0775 config data logs && \
    find config -type f -exec chmod 0664 {} +

FROM ubuntu:20.04
RUN groupadd -g 1000 search && \
    adduser --uid 1000 --gid 1000 --home /usr/share/search search
ENV ELASTIC_CONTAINER true
WORKDIR /usr/share/search
COPY --from=builder --chown=0:0 /usr/share/search /usr/share/search
ENV PATH /usr/share/search/bin:$PATH
ENV SHELL /bin/bash
COPY bin/docker-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
RUN chmod g=u /etc/passwd && chmod 0555 /usr/local/bin/docker-entrypoint.sh
EXPOSE 9200 9300
LABEL org.label-schema.build-date="2024-08-05T10:05:34.233336849Z" \
  org.label-schema.schema-version="1.0" \
  org.opencontainers.image.created="2024-08-05T10:05:34.233336849Z"
USER 1000:0
ENTRYPOINT ["/bin/tini", "--", "/usr/local/bin/docker-entrypoint.sh"]
CMD ["eswrapper"]

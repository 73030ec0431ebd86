FROM debian:13
RUN curl -fsSL https://example.com/a.tgz -o /tmp/b.tgz && tar -xf /tmp/b.tgz
RUN curl -fsSL https://example.com/a.tgz | tar -xz
RUN --mount=type=tmpfs,target=/tmp curl -fsSL https://example.com/a.tgz -o /tmp/b.tgz && tar -xf /tmp/b.tgz
RUN wget https://example.com/a.zip && unzip a.zip && rm *.zip

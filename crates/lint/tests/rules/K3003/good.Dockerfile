FROM debian:12
ADD --checksum=sha256:0d3b8fdd0a9c2dd5b2f2e2b5a9a4d6a5c1b6a9b8f6d2b1e4c9d7f0a3e5b8c1d2 https://example.com/install.sh /install.sh
RUN sh /install.sh

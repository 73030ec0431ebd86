FROM debian:12 AS base
RUN <<EOF
#!/bin/bash
x=(a)
EOF
RUN <<EOF
x=(a)
EOF
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN x=(a)
FROM base
RUN x=(a)
FROM debian:12
RUN x=(a)
ONBUILD RUN x=(a)

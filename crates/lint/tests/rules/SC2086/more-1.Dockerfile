FROM debian:12 AS base
ARG ONE=a
ENV TWO=b
SHELL ["/bin/bash", "-c"]
RUN rm $ONE $TWO "$x" && x=$(date) && rm $x
# shellcheck disable=SC2086 # they are words
RUN x=$(date) && rm $x
# hadolint ignore=SC2086,SC2164
RUN x=$(date) && rm $x
RUN <<EOF
x=$(date)
# shellcheck disable=SC2086
rm $x
rm $x
EOF
RUN ["sh", "-c", "rm $x"]
FROM base
RUN [[ $ONE ]] && x=$(date) && \
    # a comment
    rm \
      $x
SHELL ["pwsh", "-c"]
RUN rm $x
FROM debian:12
RUN <<EOF python3
x = $y
EOF
RUN <<EOF
#!/usr/bin/env bash
x=(a b)
rm ${x[0]}
EOF

FROM debian:12
RUN for file in /srv/*.txt; do cat "$file"; done

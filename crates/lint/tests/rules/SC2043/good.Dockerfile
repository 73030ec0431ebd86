FROM debian:12
RUN for file in ./*.txt; do cat "$file"; done

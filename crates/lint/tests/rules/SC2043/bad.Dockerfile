FROM debian:12
RUN for file in list.txt; do cat "$file"; done

FROM debian:12
RUN for file in $(ls /srv/*.txt); do cat "$file"; done

FROM debian:12
RUN files=/srv/*.txt; cat "$files"

FROM debian:12
RUN make "$(echo "$HOME/a")"

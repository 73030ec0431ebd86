FROM debian:12
RUN name=HOME; eval "echo \"\$$name\""

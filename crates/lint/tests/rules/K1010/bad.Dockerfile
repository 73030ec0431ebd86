FROM debian:12
CMD ["serve", "--port", "$PORT"]

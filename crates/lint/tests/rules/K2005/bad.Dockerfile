FROM golang:1.26
COPY . .
RUN go build -o /app .
CMD ["/app"]

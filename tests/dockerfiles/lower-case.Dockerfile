from debian:stable as builder
workdir /b
copy . .
run make
from debian:stable-slim
copy --from=builder /b/out /usr/local/bin
entrypoint ["/usr/local/bin/out"]

FROM debian:12
RUN flags=-a; flags=$flags-b; make "$flags"

FROM debian:12
RUN gpg --keyserver keys.openpgp.org --recv-keys ABCD

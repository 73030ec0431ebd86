FROM perl:5.40-slim AS build
RUN apt-get update && apt-get -y install gcc make libexpat1-dev
COPY cpanfile cpanfile.snapshot /app/
WORKDIR /app
RUN cpanm --notest Carton && carton install --deployment --cached && find local -name '*.pod' -delete
FROM perl:5.40-slim
ENV PERL5LIB=/app/local/lib/perl5 PATH=/app/local/bin:$PATH
COPY --from=build /app/local /app/local
COPY bin lib /app/
CMD ["plackup", "-p", "5000", "/app/bin/app.psgi"]

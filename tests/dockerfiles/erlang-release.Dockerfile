FROM erlang:27-alpine AS build
WORKDIR /buildroot
COPY rebar.config rebar.lock ./
RUN rebar3 compile --deps_only
COPY config config/
COPY src src/
RUN rebar3 as prod release
FROM alpine
RUN apk add --no-cache openssl ncurses-libs libstdc++
COPY --from=build /buildroot/_build/prod/rel/app /app
EXPOSE 8080 8443/tcp
CMD ["/app/bin/app", "foreground"]

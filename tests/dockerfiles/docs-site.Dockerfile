FROM squidfunk/mkdocs-material:9 AS docs
COPY mkdocs.yml .
COPY docs ./docs
RUN mkdocs build --strict -d /site
FROM ruby:3.3 AS jekyll
WORKDIR /site
COPY --exclude=**/*.draft.md --exclude=node_modules website/ .
RUN bundle install && bundle exec jekyll build -d /out
FROM nginx:alpine
COPY --from=docs /site /usr/share/nginx/html/docs
COPY --from=jekyll /out /usr/share/nginx/html
COPY <<EOF /etc/nginx/conf.d/default.conf
server {
  listen 80;
  root /usr/share/nginx/html;
  location / { try_files \$uri \$uri/ =404; }
}
EOF

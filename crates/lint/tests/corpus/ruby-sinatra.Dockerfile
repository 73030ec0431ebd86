FROM ruby:2.7.6
RUN gem install bundler sinatra:2.2.0
RUN gem install puma -v 5.6
WORKDIR /app
ADD Gemfile Gemfile.lock /app/
RUN bundle install --jobs 4
ADD . /app
HEALTHCHECK --interval=30s CMD curl -f http://localhost:4567/ || exit 1
ENTRYPOINT bundle exec
CMD ["ruby", "app.rb"]

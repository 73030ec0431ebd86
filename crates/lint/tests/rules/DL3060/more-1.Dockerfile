FROM a:1
RUN yarn install
RUN yarn install && yarn cache clean
RUN yarn cache clean && yarn install
RUN yarn
RUN yarn add x
RUN --mount=type=cache,target=/root/.cache/yarn yarn install
RUN yarn --frozen-lockfile install && yarn cache clean --all
RUN gem install a
RUN gem install a:1
RUN gem i a
RUN gem install a -v 1
RUN gem install a --version=1
RUN gem install -- a
RUN gem install a:1 -- --x
RUN gem install a -v=1
RUN gem install --no-document a
RUN gem install $x
RUN gem install a b:1
RUN gem install x.gem
RUN go install a
RUN go install a@1
RUN go install a@latest
RUN go get a
RUN go get -u a
RUN go get
RUN go get ./...
RUN go run a
RUN go run a@1 b
RUN go run . x
RUN go run -x a b
RUN go install ./x
RUN go install /x
RUN go get -d -v
RUN go install a@none
RUN go build x
RUN go run x.go
RUN go install github.com/a/b
RUN go mod download
RUN go get -t .
RUN go install $x

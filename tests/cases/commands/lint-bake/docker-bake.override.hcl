target "tools" {
  context    = "."
  dockerfile = "over.Dockerfile"
}

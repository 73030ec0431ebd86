variable "DIR" {
  default = "web"
}

function "named" {
  params = [name]
  result = "${lower(name)}.Dockerfile"
}

group "default" {
  targets = ["app", "tools"]
}

target "_common" {
  context = DIR
  args    = { BUILT = timestamp() }
}

target "app" {
  name       = "app-${item}"
  inherits   = ["_common"]
  matrix     = { item = ["One", "Two"] }
  dockerfile = named(item)
}

target "tools" {
  inherits   = ["_common"]
  dockerfile = "tools.Dockerfile"
}

variable "TAG" { default = "12" }
target "base" {
  dockerfile-inline = <<-EOT
    FROM debian:${TAG}
    ADD a.py /a
    RUN echo $${HOME}
  EOT
}
target "one" { inherits = ["base"] }
target "two" {
  dockerfile-inline = "FROM debian\nRUN true\n"
}

use serde_json::json;

use super::*;

fn render(template: &str) -> Result<String, String> {
    let value = json!({
        "Id": "sha256:a",
        "Config": {"Env": ["A=1", "B=2"], "Labels": null, "User": "", "Set": {"a.b": "c", "A": 1}, "Cmd": null,
                   "Healthcheck": null, "ExposedPorts": {"80/tcp": {}}},
        "Size": 5,
        "RootFS": {"Layers": ["x", "y", "z"]},
    });
    Template::parse(template)?.render(&value)
}

#[test]
fn renders() {
    for (template, text) in [
        ("{{.Id}}", "sha256:a"),
        ("id={{ .Id }}\\tsize={{.Size}}", "id=sha256:a\tsize=5"),
        ("{{.Config.Env}}", "[A=1 B=2]"),
        ("{{json .Config.Env}}", r#"["A=1","B=2"]"#),
        ("{{.Config.Env | json}}", r#"["A=1","B=2"]"#),
        ("{{json .Config.Labels}}", "null"),
        ("{{.Config.User}}", ""),
        ("{{index .Config.Env 1}}", "B=2"),
        (r#"{{index .Config.Set "a.b"}}"#, "c"),
        (r#"{{index .Config.Set "x"}}{{index .Config.Labels "x"}}"#, ""),
        ("{{len .Config.Env}} {{len .Config.Labels}}", "2 0"),
        (r#"{{join .Config.Env ", "}}"#, "A=1, B=2"),
        ("{{range .Config.Env}}<{{.}}>{{end}}!", "<A=1><B=2>!"),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"),
        ("{{upper .Id}}", "SHA256:A"),
        // What Go prints of what is not there.
        ("{{.Config.Labels.x}}", "<no value>"),
        (
            "{{.Config.Labels}} {{.Config.Cmd}} {{.Config.Healthcheck}}",
            "map[] [] <nil>",
        ),
        ("{{.Config.Set}}", "map[A:1 a.b:c]"),
        // Blocks.
        ("{{if .Config.User}}{{.Config.User}}{{else}}root{{end}}", "root"),
        ("{{if .Config.User}}a{{else if .Size}}b{{else}}c{{end}}!", "b!"),
        ("{{if not .Config.User}}yes{{end}}", "yes"),
        (
            r#"{{if eq .Size 5}}five{{end}}{{if ne .Id "b"}}other{{end}}"#,
            "fiveother",
        ),
        ("{{if and .Size (gt .Size 4) (le .Size 5)}}in{{end}}", "in"),
        (r#"{{or .Config.User "root"}}"#, "root"),
        (
            "{{with .Config}}{{.Env}}{{end}}{{with .Config.User}}x{{else}}none{{end}}",
            "[A=1 B=2]none",
        ),
        (
            "{{range $i, $e := .Config.Env}}{{if $i}}, {{end}}{{$e}}{{end}}",
            "A=1, B=2",
        ),
        ("{{range $port, $_ := .Config.ExposedPorts}}{{$port}}{{end}}", "80/tcp"),
        ("{{range .Config.Cmd}}x{{else}}none{{end}}", "none"),
        ("{{range .Config.Env}}{{$.Id}} {{end}}", "sha256:a sha256:a "),
        ("{{$n := len .RootFS.Layers}}{{$n}}", "3"),
        ("{{$x := 1}}{{range .Config.Env}}{{$x = .}}{{end}}{{$x}}", "B=2"),
        ("a {{- .Size -}} b", "a5b"),
        ("{{/* nothing */}}{{.Size}}", "5"),
        // Functions of docker's and Go's.
        (r#"{{(index (split .Id ":") 1) | upper}}"#, "A"),
        ("{{(index .RootFS.Layers 2)}}", "z"),
        (r#"{{printf "%-4s|%3d|%q" .Id .Size "x"}}"#, "sha256:a|  5|\"x\""),
        (r#"{{truncate .Id 3}}{{pad "x" 1 2}}|{{title "a b"}}"#, "sha x  |A B"),
        (r#"{{print "a" .Size}}{{"}}"}}{{`"`}}{{"\t\""}}"#, "a5}}\"\t\""),
        ("{{with $c := .Config}}{{$c.Env}}{{end}}", "[A=1 B=2]"),
        ("{{(.Config).Env}}", "[A=1 B=2]"),
    ] {
        assert_eq!(render(template).as_deref(), Ok(text), "{template}");
    }
}

#[test]
fn refuses() {
    let deep = |open: &str, close: &str| open.repeat(100) + ".Size" + &close.repeat(100);
    for template in [
        "{{.Nothing}}",
        "{{range .Config.Env}}",
        "{{end}}",
        "{{.Id",
        "{{}}",
        "{{.Size.x}}",
        "{{.a..b}}",
        "{{index .Config.Env 2}}",
        "{{range .Size}}{{end}}",
        "{{len .Size}}",
        "{{if .Id}}",
        "{{else}}",
        "{{if .Id}}{{else}}{{else}}{{end}}",
        "{{nothing .Id}}",
        "{{json}}",
        "{{json .Id .Id}}",
        "{{.Id | .Id}}",
        "{{(.Id}}",
        "{{.Id)}}",
        "{{$x}}",
        "{{$x = 1}}",
        "{{\"a}}",
        "{{lt .Id .Size}}",
        "{{printf \"%s\"}}",
        "{{printf \"%x\" .Id}}",
        "{{.Id .Size}}",
        "{{:}}",
        &format!("{{{{{}}}}}", deep("(", ")")),
        &"{{if .Id}}".repeat(100),
    ] {
        assert!(render(template).is_err(), "{template}");
    }
}

#[test]
fn headers_are_fields() {
    let header = |template: &str| Template::parse(template).unwrap().header();
    assert_eq!(
        header("{{.ID}}\t{{truncate .CreatedBy 5}}\t{{.A.Size | json}}"),
        "ID\tCREATED BY\tSIZE"
    );
    assert_eq!(header("{{if .Id}}{{.Id}}{{end}}"), "ID");
}

//! Functions of bake's standard library: those that a path may be made with. What a clock, a hash or the machine is asked
//! for is not among them.

use serde_json::{Map, Value};

use super::value::{as_flag, as_index, as_list, as_number, as_object, as_text, as_texts, kind, number, pairs};

/// Larger regular expressions, in bytes when compiled, are refused.
const LARGEST_PATTERN: usize = 32 << 10;

/// More elements than this `range` and `setproduct` do not make.
const MOST: usize = 10_000;

/// What comes out of a function; `None` if there is none of that name here.
pub(super) fn call(name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    texts(name, arguments)
        .or_else(|| numbers(name, arguments))
        .or_else(|| collections(name, arguments))
}

/// The arguments, if there are as many as wanted.
fn exactly<const N: usize>(arguments: &[Value]) -> Result<&[Value; N], String> {
    let wrong = || format!("wanted {N} arguments, found {}", arguments.len());
    arguments.try_into().map_err(|_| wrong())
}

fn texts(name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    let one = |change: fn(&str) -> String| {
        let [text] = exactly(arguments)?;
        Ok(Value::from(change(&as_text(text)?)))
    };
    let two = |change: fn(&str, &str) -> String| {
        let [text, other] = exactly(arguments)?;
        Ok(Value::from(change(&as_text(text)?, &as_text(other)?)))
    };
    Some(match name {
        "upper" => one(str::to_uppercase),
        "lower" => one(str::to_lowercase),
        "title" => one(title),
        "trimspace" => one(|text| text.trim().to_owned()),
        "chomp" => one(|text| text.trim_end_matches(['\r', '\n']).to_owned()),
        "reverse" => one(|text| text.chars().rev().collect()),
        "sanitize" => one(sanitize),
        "basename" => one(base),
        "dirname" => one(directory),
        "trim" => two(|text, set| text.trim_matches(|c| set.contains(c)).to_owned()),
        "trimprefix" => two(|text, start| text.strip_prefix(start).unwrap_or(text).to_owned()),
        "trimsuffix" => two(|text, end| text.strip_suffix(end).unwrap_or(text).to_owned()),
        "strlen" => one(|text| text.chars().count().to_string()).and_then(|text| number(as_number(&text)?)),
        "indexof" => index_of(arguments),
        "replace" => replace(arguments),
        "regex_replace" => regex_replace(arguments),
        "substr" => substring(arguments),
        "split" => split(arguments),
        "join" => join(arguments),
        "format" => format(arguments),
        "jsonencode" => exactly(arguments).map(|[value]| Value::from(value.to_string())),
        "jsondecode" => exactly(arguments)
            .and_then(|[text]| serde_json::from_str(&as_text(text)?).map_err(|error| format!("no JSON: {error}"))),
        _ => return None,
    })
}

fn title(text: &str) -> String {
    let mut before = ' ';
    let raised = text.chars().flat_map(|c| {
        let starts = !before.is_alphanumeric();
        before = c;
        let upper = starts.then(|| c.to_uppercase());
        let same = (!starts).then_some(c);
        upper.into_iter().flatten().chain(same)
    });
    raised.collect()
}

/// Only what the name of a target may have.
fn sanitize(text: &str) -> String {
    let fit = |c: char| if super::is_name(c) { c } else { '_' };
    text.chars().map(fit).collect()
}

/// As Go's `filepath.Base`.
fn base(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" if path.is_empty() => ".".to_owned(),
        "" => "/".to_owned(),
        path => path.rsplit('/').next().unwrap_or(path).to_owned(),
    }
}

/// As Go's `filepath.Dir`, but for what `..` could shorten.
fn directory(path: &str) -> String {
    match path.rsplit_once('/') {
        None => ".".to_owned(),
        Some(("", _)) => "/".to_owned(),
        Some((directory, _)) => directory.trim_end_matches('/').to_owned(),
    }
}

fn index_of(arguments: &[Value]) -> Result<Value, String> {
    let [list, wanted] = exactly(arguments)?;
    let at = as_list(list)?.iter().position(|value| value == wanted);
    at.map(Value::from)
        .ok_or_else(|| "the list has no such element".to_owned())
}

fn replace(arguments: &[Value]) -> Result<Value, String> {
    let [text, old, new] = exactly(arguments)?;
    Ok(Value::from(bounded(&as_text(text)?, &as_text(old)?, &as_text(new)?)?))
}

fn bounded(text: &str, old: &str, new: &str) -> Result<String, String> {
    let most = text.len().saturating_add((text.len() + 1).saturating_mul(new.len()));
    if most > super::FUEL {
        return Err("the text becomes too large".to_owned());
    }
    Ok(text.replace(old, new))
}

fn regex_replace(arguments: &[Value]) -> Result<Value, String> {
    let [text, pattern, new] = exactly(arguments)?;
    let (text, new) = (as_text(text)?, as_text(new)?);
    let pattern = regex_lite::RegexBuilder::new(&as_text(pattern)?)
        .size_limit(LARGEST_PATTERN)
        .build();
    let pattern = pattern.map_err(|error| error.to_string())?;
    let most = text.len().saturating_add(1).saturating_mul(text.len() + new.len());
    if most > super::FUEL {
        return Err("the text becomes too large".to_owned());
    }
    Ok(Value::from(pattern.replace_all(&text, new.as_str()).into_owned()))
}

fn substring(arguments: &[Value]) -> Result<Value, String> {
    let [text, offset, length] = exactly(arguments)?;
    let letters: Vec<char> = as_text(text)?.chars().collect();
    let offset = as_number(offset)?;
    #[expect(clippy::cast_precision_loss, reason = "texts are small")]
    let start = if offset < 0.0 {
        (letters.len() as f64 + offset).max(0.0)
    } else {
        offset
    };
    let start = as_index(&number(start)?)?;
    let rest = letters.iter().skip(start);
    let length = as_number(length)?;
    Ok(Value::from(if length < 0.0 {
        rest.collect::<String>()
    } else {
        rest.take(as_index(&number(length)?)?).collect()
    }))
}

fn split(arguments: &[Value]) -> Result<Value, String> {
    let [by, text] = exactly(arguments)?;
    let (by, text) = (as_text(by)?, as_text(text)?);
    if by.is_empty() {
        return Ok(text.chars().map(|c| Value::from(c.to_string())).collect());
    }
    Ok(text.split(&by).map(Value::from).collect())
}

fn join(arguments: &[Value]) -> Result<Value, String> {
    let Some((by, lists)) = arguments.split_first() else {
        return Err("wanted a separator and lists, found nothing".to_owned());
    };
    let mut texts = Vec::new();
    for list in lists {
        texts.extend(as_texts(list)?);
    }
    let by = as_text(by)?;
    if by.len().saturating_mul(texts.len()) > super::FUEL {
        return Err("the text becomes too large".to_owned());
    }
    Ok(Value::from(texts.join(&by)))
}

/// Of Go's verbs those that take no width: `%s`, `%d`, `%v`, `%q` and `%%`.
fn format(arguments: &[Value]) -> Result<Value, String> {
    let Some((form, values)) = arguments.split_first() else {
        return Err("wanted a format, found nothing".to_owned());
    };
    let (form, mut values) = (as_text(form)?, values.iter());
    let mut out = String::new();
    let mut letters = form.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let verb = letters.next().unwrap_or(' ');
        if verb == '%' {
            out.push('%');
            continue;
        }
        if !matches!(verb, 's' | 'd' | 'v' | 'q') {
            return Err(format!("`%{verb}` is not read here: only %s, %d, %v, %q and %%"));
        }
        let value = values.next().ok_or("there are fewer values than verbs")?;
        out.push_str(&match verb {
            'q' => Value::from(as_text(value)?).to_string(),
            'd' => as_text(&number(as_number(value)?.trunc())?)?,
            'v' if value.is_array() || value.is_object() => value.to_string(),
            _ => as_text(value)?,
        });
        if out.len() > super::FUEL {
            return Err("the text becomes too large".to_owned());
        }
    }
    if values.next().is_some() {
        return Err("there are more values than verbs".to_owned());
    }
    Ok(Value::from(out))
}

fn numbers(name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    let one = |change: fn(f64) -> f64| {
        let [a] = exactly(arguments)?;
        number(change(as_number(a)?))
    };
    let two = |change: fn(f64, f64) -> f64| {
        let [a, b] = exactly(arguments)?;
        number(change(as_number(a)?, as_number(b)?))
    };
    let compared = |holds: fn(f64, f64) -> bool| {
        let [a, b] = exactly(arguments)?;
        Ok(Value::from(holds(as_number(a)?, as_number(b)?)))
    };
    let flags = |change: fn(bool, bool) -> bool| {
        let [a, b] = exactly(arguments)?;
        Ok(Value::from(change(as_flag(a)?, as_flag(b)?)))
    };
    let best = |better: fn(f64, f64) -> f64| {
        let values: Vec<f64> = arguments.iter().map(as_number).collect::<Result<_, _>>()?;
        let best = values.into_iter().reduce(better);
        number(best.ok_or("wanted at least one number, found none")?)
    };
    Some(match name {
        "absolute" => one(f64::abs),
        "ceil" => one(f64::ceil),
        "floor" => one(f64::floor),
        "int" => one(f64::trunc),
        "negate" => one(|a| -a),
        "add" => two(|a, b| a + b),
        "subtract" => two(|a, b| a - b),
        "multiply" => two(|a, b| a * b),
        "divide" => two(|a, b| a / b),
        "modulo" => two(|a, b| a % b),
        "max" => best(f64::max),
        "min" => best(f64::min),
        "greaterthan" => compared(|a, b| a > b),
        "greaterthanorequalto" => compared(|a, b| a >= b),
        "lessthan" => compared(|a, b| a < b),
        "lessthanorequalto" => compared(|a, b| a <= b),
        "equal" => exactly(arguments).map(|[a, b]| Value::from(a == b)),
        "notequal" => exactly(arguments).map(|[a, b]| Value::from(a != b)),
        "and" => flags(|a, b| a && b),
        "or" => flags(|a, b| a || b),
        "not" => exactly(arguments).and_then(|[a]| Ok(Value::from(!as_flag(a)?))),
        "parseint" => exactly(arguments).and_then(|[text, base]| {
            let (text, base) = (as_text(text)?, as_index(base)?);
            let base = u32::try_from(base).ok().filter(|base| (2..=36).contains(base));
            let base = base.ok_or("wanted a base from 2 to 36")?;
            let found = i64::from_str_radix(&text, base).map_err(|_| format!("`{text}` is no number of that base"));
            found.map(Value::from)
        }),
        _ => return None,
    })
}

fn collections(name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    let one = |change: fn(&[Value]) -> Vec<Value>| {
        let [list] = exactly(arguments)?;
        Ok(Value::Array(change(as_list(list)?)))
    };
    Some(match name {
        "length" => exactly(arguments).and_then(|[value]| match value {
            Value::Array(values) => Ok(Value::from(values.len())),
            Value::Object(values) => Ok(Value::from(values.len())),
            other => Err(format!("wanted a list or an object, found {}", kind(other))),
        }),
        "concat" => arguments
            .iter()
            .try_fold(Vec::new(), |mut all, list| {
                all.extend_from_slice(as_list(list)?);
                Ok(all)
            })
            .map(Value::Array),
        "contains" => exactly(arguments).and_then(|[list, value]| Ok(Value::from(as_list(list)?.contains(value)))),
        "coalesce" => first(arguments, |value| !value.is_null()),
        "coalescelist" => first(arguments, |value| value.as_array().is_some_and(|list| !list.is_empty())),
        "compact" => one(|list| {
            list.iter()
                .filter(|value| !value.is_null() && *value != "")
                .cloned()
                .collect()
        }),
        "distinct" => one(distinct),
        "reverselist" => one(|list| list.iter().rev().cloned().collect()),
        "flatten" => one(flatten),
        "sort" => exactly(arguments).and_then(|[list]| {
            let mut texts = as_texts(list)?;
            texts.sort();
            Ok(Value::from(texts))
        }),
        "element" => exactly(arguments).and_then(|[list, at]| {
            let list = as_list(list)?;
            let at = as_index(at)?.checked_rem(list.len()).ok_or("the list is empty")?;
            Ok(list[at].clone())
        }),
        "index" => exactly(arguments).and_then(|[of, at]| super::eval::element(of, at)),
        "hasindex" => exactly(arguments).map(|[of, at]| Value::from(super::eval::element(of, at).is_ok())),
        "slice" => exactly(arguments).and_then(|[list, from, to]| {
            let part = as_list(list)?.get(as_index(from)?..as_index(to)?);
            part.map(Value::from)
                .ok_or_else(|| "the list is not as long".to_owned())
        }),
        "keys" => exactly(arguments).and_then(|[object]| {
            as_object(object)?;
            Ok(pairs(object)?.into_iter().map(|(name, _)| name).collect())
        }),
        "values" => exactly(arguments).and_then(|[object]| {
            as_object(object)?;
            Ok(pairs(object)?.into_iter().map(|(_, value)| value).collect())
        }),
        "lookup" => exactly(arguments).and_then(|[object, name, otherwise]| {
            Ok(as_object(object)?.get(&as_text(name)?).unwrap_or(otherwise).clone())
        }),
        "merge" => arguments
            .iter()
            .try_fold(Map::new(), |mut all, object| {
                if !object.is_null() {
                    all.extend(as_object(object)?.clone());
                }
                Ok(all)
            })
            .map(Value::Object),
        "zipmap" => exactly(arguments).and_then(|[names, values]| {
            let (names, values) = (as_texts(names)?, as_list(values)?);
            if names.len() != values.len() {
                return Err("the lists are not of one length".to_owned());
            }
            Ok(Value::Object(names.into_iter().zip(values.iter().cloned()).collect()))
        }),
        "range" => range(arguments),
        "setproduct" => product(arguments),
        _ => return None,
    })
}

fn first(arguments: &[Value], fits: fn(&Value) -> bool) -> Result<Value, String> {
    let found = arguments.iter().find(|value| fits(value)).cloned();
    found.ok_or_else(|| "no argument has a value".to_owned())
}

fn distinct(list: &[Value]) -> Vec<Value> {
    let mut seen = std::collections::HashSet::new();
    list.iter()
        .filter(|value| seen.insert(value.to_string()))
        .cloned()
        .collect()
}

fn flatten(list: &[Value]) -> Vec<Value> {
    let flat = list.iter().flat_map(|value| match value {
        Value::Array(inner) => flatten(inner),
        other => vec![other.clone()],
    });
    flat.collect()
}

fn range(arguments: &[Value]) -> Result<Value, String> {
    let values: Vec<f64> = arguments.iter().map(as_number).collect::<Result<_, _>>()?;
    let (from, to, step) = match values[..] {
        [to] => (0.0, to, if to < 0.0 { -1.0 } else { 1.0 }),
        [from, to] => (from, to, if to < from { -1.0 } else { 1.0 }),
        [from, to, step] => (from, to, step),
        _ => return Err(format!("wanted 1 to 3 numbers, found {}", values.len())),
    };
    let (mut at, mut found) = (from, Vec::new());
    while if step < 0.0 { at > to } else { at < to } {
        if found.len() == MOST || step == 0.0 {
            return Err(format!("more than {MOST} elements"));
        }
        found.push(number(at)?);
        at += step;
    }
    Ok(Value::Array(found))
}

fn product(arguments: &[Value]) -> Result<Value, String> {
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for list in arguments {
        let list = as_list(list)?;
        if rows.len().saturating_mul(list.len()) > MOST {
            return Err(format!("more than {MOST} elements"));
        }
        let longer = |row: &Vec<Value>, value: &Value| row.iter().chain([value]).cloned().collect();
        rows = rows
            .iter()
            .flat_map(|row| list.iter().map(move |value| longer(row, value)))
            .collect();
    }
    Ok(rows.into_iter().map(Value::Array).collect())
}

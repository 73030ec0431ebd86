//! What expressions of HCL stand for (the specification of HCL's native syntax, "Expressions" and "Templates").

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use hcl_edit::expr::{
    BinaryOp, BinaryOperator, Expression, ForExpr, FuncCall, ObjectKey, Traversal, TraversalOperator, UnaryOp,
    UnaryOperator,
};
use hcl_edit::template::{Directive, Element, Template};
use hcl_edit::{Decorated, Span as _};
use kiln_dockerfile::suggest;
use serde_json::{Map, Value};

use super::definition::{Definition, Written};
use super::value::{as_flag, as_index, as_number, as_text, kind, number, pairs, weight};
use super::{FUEL, Wrong, functions, variable};

/// Expressions that stand for others deeper than this are refused.
const DEEPEST: usize = 128;
/// What costs time but makes no value counts as so many bytes: a failure, which `try` and `can` may have again and again,
/// and a regular expression.
const DEAR: usize = 1000;

/// Names that count in an expression, beside those of the whole definition.
#[derive(Default)]
pub(super) struct Scope<'s> {
    /// The file that the expression stands in.
    pub(super) file: usize,
    pub(super) names: HashMap<String, Value>,
    pub(super) outer: Option<&'s Scope<'s>>,
}

impl Scope<'_> {
    pub(super) fn of(file: usize) -> Self {
        Self {
            file,
            ..Self::default()
        }
    }

    fn find(&self, name: &str) -> Option<&Value> {
        self.names.get(name).or_else(|| self.outer?.find(name))
    }
}

/// What expressions may ask of blocks: `target.NAME.ATTRIBUTE`.
pub(super) trait Blocks {
    /// The value of an attribute; `None` if there is no such block.
    fn attribute(&self, kind: &str, block: &str, name: &str) -> Option<Result<Value, Wrong>>;
}

/// Nothing is known of blocks yet.
impl Blocks for () {
    fn attribute(&self, _: &str, _: &str, _: &str) -> Option<Result<Value, Wrong>> {
        None
    }
}

/// How much may still be done: shared by everything that a definition stands for.
#[derive(Default)]
pub(super) struct Spent {
    depth: Cell<usize>,
    work: Cell<usize>,
    /// Variables and attributes that are being looked for.
    pub(super) going: RefCell<Vec<String>>,
}

#[derive(Clone, Copy)]
pub(super) struct Evaluator<'d> {
    pub(super) definition: &'d Definition,
    pub(super) environment: &'d dyn Fn(&str) -> Option<String>,
    pub(super) spent: &'d Spent,
    pub(super) blocks: &'d dyn Blocks,
}

impl Evaluator<'_> {
    /// The value of an expression where it is written.
    pub(super) fn written(&self, written: &Written) -> Result<Value, Wrong> {
        self.value(&written.expression, &Scope::of(written.file))
    }

    pub(super) fn value(&self, expression: &Expression, scope: &Scope<'_>) -> Result<Value, Wrong> {
        let depth = self.spent.depth.get() + 1;
        if depth > DEEPEST {
            return Err(
                Wrong::new(format!("expressions stand for others more than {DEEPEST} deep")).at(scope, expression),
            );
        }
        let spend = |work| self.spend(work).map_err(|wrong| wrong.at(scope, expression));
        spend(1 + names(expression))?;
        self.spent.depth.set(depth);
        let found = self.look(expression, scope);
        self.spent.depth.set(depth - 1);
        match found {
            Ok(value) => spend(weight(&value)).map(|()| value),
            Err(wrong) => {
                // What passes through has its place.
                if wrong.at.is_none() {
                    spend(DEAR)?;
                }
                Err(wrong.at(scope, expression))
            }
        }
    }

    /// Once everything is spent, nothing more is looked at: every expression fails at once.
    fn spend(&self, work: usize) -> Result<(), Wrong> {
        let spent = self.spent.work.get().saturating_add(work);
        self.spent.work.set(spent);
        if spent > FUEL {
            return Err(Wrong::new("what the file's expressions stand for is too large"));
        }
        Ok(())
    }

    fn look(&self, expression: &Expression, scope: &Scope<'_>) -> Result<Value, Wrong> {
        Ok(match expression {
            Expression::Null(_) => Value::Null,
            Expression::Bool(flag) => Value::from(*flag.value()),
            Expression::Number(written) => number(written.value().as_f64().unwrap_or(f64::NAN))?,
            Expression::String(text) => Value::from(text.value().as_str()),
            Expression::Array(list) => {
                let values = list.iter().map(|each| self.value(each, scope));
                Value::Array(values.collect::<Result<_, _>>()?)
            }
            Expression::Object(object) => {
                let mut values = Map::new();
                for (key, value) in object {
                    values.insert(self.key(key, scope)?, self.value(value.expr(), scope)?);
                }
                Value::Object(values)
            }
            // `"${x}"` is what x is, whatever its type.
            Expression::StringTemplate(template) => match template.as_single_element() {
                Some(Element::Interpolation(inner)) => self.value(&inner.expr, scope)?,
                _ => Value::from(self.text(template, scope)?),
            },
            Expression::HeredocTemplate(heredoc) => Value::from(self.text(&heredoc.template, scope)?),
            Expression::Parenthesis(inner) => self.value(inner.inner(), scope)?,
            Expression::Variable(name) => self.variable(name.as_str(), scope)?,
            Expression::Conditional(choice) => {
                let holds = as_flag(&self.value(&choice.cond_expr, scope)?)?;
                let chosen = if holds { &choice.true_expr } else { &choice.false_expr };
                self.value(chosen, scope)?
            }
            Expression::FuncCall(call) => self.call(call, scope)?,
            Expression::Traversal(traversal) => self.traverse(traversal, scope)?,
            Expression::UnaryOp(operation) => self.unary(operation, scope)?,
            Expression::BinaryOp(operation) => self.binary(operation, scope)?,
            Expression::ForExpr(each) => self.each(each, scope)?,
        })
    }

    fn key(&self, key: &ObjectKey, scope: &Scope<'_>) -> Result<String, Wrong> {
        match key {
            // A name is itself; `(name)` is the variable.
            ObjectKey::Ident(name) | ObjectKey::Expression(Expression::Variable(name)) => Ok(name.as_str().to_owned()),
            ObjectKey::Expression(expression) => Ok(as_text(&self.value(expression, scope)?)?),
        }
    }

    pub(super) fn variable(&self, name: &str, scope: &Scope<'_>) -> Result<Value, Wrong> {
        if let Some(value) = scope.find(name) {
            return Ok(value.clone());
        }
        let key = format!("the variable `{name}`");
        if let Some(value) = self.once(key, || variable::value(self, name))? {
            return Ok(value);
        }
        let names = self
            .definition
            .variables
            .keys()
            .chain(self.definition.attributes.keys());
        let hint = suggest::hint(name, names.map(String::as_str));
        Err(Wrong::new(format!("there is no variable `{name}`{hint}")))
    }

    /// Looks for something that may not depend on itself.
    pub(super) fn once<T>(&self, what: String, look: impl FnOnce() -> Result<T, Wrong>) -> Result<T, Wrong> {
        if self.spent.going.borrow().contains(&what) {
            return Err(Wrong::new(format!("{what} depends on itself")));
        }
        self.spent.going.borrow_mut().push(what);
        let found = look();
        self.spent.going.borrow_mut().pop();
        found
    }

    fn call(&self, call: &FuncCall, scope: &Scope<'_>) -> Result<Value, Wrong> {
        let name = call.name.name.as_str();
        let arguments = || -> Result<Vec<Value>, Wrong> {
            let values = call.args.iter().map(|argument| self.value(argument, scope));
            let mut values: Vec<Value> = values.collect::<Result<_, _>>()?;
            if call.args.expand_final() {
                match values.pop() {
                    Some(Value::Array(last)) => values.extend(last),
                    other => {
                        return Err(Wrong::new(format!(
                            "`...` wants a list, found {}",
                            kind(&other.unwrap_or(Value::Null))
                        )));
                    }
                }
            }
            Ok(values)
        };
        let named = |why: String| Wrong::new(format!("`{name}`: {why}"));
        if call.name.is_namespaced() {
            return Err(named("functions of providers are not bake's".to_owned()));
        }
        if let Some(function) = self.definition.functions.get(name) {
            let mut names = HashMap::new();
            let mut values = arguments()?.into_iter();
            for parameter in &function.parameters {
                let value = values.next().ok_or_else(|| named("too few arguments".to_owned()))?;
                names.insert(parameter.clone(), value);
            }
            if let Some(rest) = &function.rest {
                names.insert(rest.clone(), values.by_ref().collect());
            }
            if values.next().is_some() {
                return Err(named("too many arguments".to_owned()));
            }
            let inner = Scope {
                names,
                ..Scope::of(function.result.file)
            };
            return self.value(&function.result.expression, &inner);
        }
        match name {
            "try" => {
                let mut last = named("wanted at least one argument".to_owned());
                for argument in &call.args {
                    match self.value(argument, scope) {
                        Ok(value) => return Ok(value),
                        Err(wrong) => last = wrong,
                    }
                }
                Err(last)
            }
            "can" => Ok(Value::from(
                call.args.iter().all(|argument| self.value(argument, scope).is_ok()),
            )),
            _ => {
                if name == "regex_replace" {
                    self.spend(DEAR)?;
                }
                match functions::call(name, &arguments()?) {
                    Some(value) => value.map_err(named),
                    None => Err(Wrong::new(format!("there is no function `{name}` that is known here"))),
                }
            }
        }
    }

    fn traverse(&self, traversal: &Traversal, scope: &Scope<'_>) -> Result<Value, Wrong> {
        let mut operators = traversal.operators.iter().map(Decorated::value);
        let value = match &traversal.expr {
            Expression::Variable(root)
                if matches!(root.as_str(), "target" | "group") && scope.find(root.as_str()).is_none() =>
            {
                let (block, name) = (self.step(operators.next(), scope)?, self.step(operators.next(), scope)?);
                let value = self.blocks.attribute(root.as_str(), &block, &name);
                value.ok_or_else(|| {
                    Wrong::new(format!(
                        "there is no {} `{block}` that can be asked for `{name}`",
                        root.as_str()
                    ))
                })??
            }
            other => self.value(other, scope)?,
        };
        let operators: Vec<&TraversalOperator> = operators.collect();
        if operators.len() > DEEPEST {
            return Err(Wrong::new(format!("an element is picked more than {DEEPEST} deep")));
        }
        self.walk(value, &operators, scope)
    }

    /// A step that must name something.
    fn step(&self, operator: Option<&TraversalOperator>, scope: &Scope<'_>) -> Result<String, Wrong> {
        match operator {
            Some(TraversalOperator::GetAttr(name)) => Ok(name.as_str().to_owned()),
            Some(TraversalOperator::Index(index)) => Ok(as_text(&self.value(index, scope)?)?),
            _ => Err(Wrong::new("wanted `target.NAME.ATTRIBUTE`")),
        }
    }

    fn walk(&self, mut value: Value, operators: &[&TraversalOperator], scope: &Scope<'_>) -> Result<Value, Wrong> {
        for (at, operator) in operators.iter().enumerate() {
            value = match operator {
                TraversalOperator::GetAttr(name) => element(&value, &Value::from(name.as_str()))?,
                TraversalOperator::Index(index) => element(&value, &self.value(index, scope)?)?,
                TraversalOperator::LegacyIndex(index) => element(&value, &Value::from(**index))?,
                TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => {
                    let values = match value {
                        Value::Array(values) => values,
                        Value::Null => Vec::new(),
                        one => vec![one],
                    };
                    let each = values
                        .into_iter()
                        .map(|value| self.walk(value, &operators[at + 1..], scope));
                    return Ok(Value::Array(each.collect::<Result<_, _>>()?));
                }
            };
        }
        Ok(value)
    }

    fn unary(&self, operation: &UnaryOp, scope: &Scope<'_>) -> Result<Value, Wrong> {
        let value = self.value(&operation.expr, scope)?;
        Ok(match operation.operator.value() {
            UnaryOperator::Not => Value::from(!as_flag(&value)?),
            UnaryOperator::Neg => number(-as_number(&value)?)?,
        })
    }

    fn binary(&self, operation: &BinaryOp, scope: &Scope<'_>) -> Result<Value, Wrong> {
        let left = self.value(&operation.lhs_expr, scope)?;
        let right = || self.value(&operation.rhs_expr, scope);
        let numbers = || -> Result<_, Wrong> { Ok((as_number(&left)?, as_number(&right()?)?)) };
        Ok(match operation.operator.value() {
            BinaryOperator::And => Value::from(as_flag(&left)? && as_flag(&right()?)?),
            BinaryOperator::Or => Value::from(as_flag(&left)? || as_flag(&right()?)?),
            BinaryOperator::Eq => Value::from(left == right()?),
            BinaryOperator::NotEq => Value::from(left != right()?),
            BinaryOperator::Greater => numbers().map(|(a, b)| Value::from(a > b))?,
            BinaryOperator::GreaterEq => numbers().map(|(a, b)| Value::from(a >= b))?,
            BinaryOperator::Less => numbers().map(|(a, b)| Value::from(a < b))?,
            BinaryOperator::LessEq => numbers().map(|(a, b)| Value::from(a <= b))?,
            BinaryOperator::Plus => numbers().and_then(|(a, b)| Ok(number(a + b)?))?,
            BinaryOperator::Minus => numbers().and_then(|(a, b)| Ok(number(a - b)?))?,
            BinaryOperator::Mul => numbers().and_then(|(a, b)| Ok(number(a * b)?))?,
            BinaryOperator::Div => numbers().and_then(|(a, b)| Ok(number(a / b)?))?,
            BinaryOperator::Mod => numbers().and_then(|(a, b)| Ok(number(a % b)?))?,
        })
    }

    fn each(&self, each: &ForExpr, scope: &Scope<'_>) -> Result<Value, Wrong> {
        let intro = &each.intro;
        let key = intro.key_var.as_ref().map(|name| name.as_str());
        let pairs = pairs(&self.value(&intro.collection_expr, scope)?)?;
        let (mut list, mut object) = (Vec::new(), Map::new());
        for pair in pairs {
            let inner = looped(scope, key, intro.value_var.as_str(), pair);
            if let Some(condition) = &each.cond
                && !as_flag(&self.value(&condition.expr, &inner)?)?
            {
                continue;
            }
            let value = self.value(&each.value_expr, &inner)?;
            let Some(key) = &each.key_expr else {
                list.push(value);
                continue;
            };
            let key = as_text(&self.value(key, &inner)?)?;
            if !each.grouping {
                object.insert(key, value);
            } else if let Value::Array(group) = object.entry(key).or_insert_with(|| Value::Array(Vec::new())) {
                group.push(value);
            }
        }
        Ok(if each.key_expr.is_some() {
            Value::Object(object)
        } else {
            Value::Array(list)
        })
    }

    /// What a template becomes. A marker `~` takes away the blanks of what is next to it.
    fn text(&self, template: &Template, scope: &Scope<'_>) -> Result<String, Wrong> {
        self.part(template, scope, (false, false))
    }

    fn part(&self, template: &Template, scope: &Scope<'_>, strip: (bool, bool)) -> Result<String, Wrong> {
        let elements: Vec<&Element> = template.iter().collect();
        let mut out = String::new();
        for (at, element) in elements.iter().enumerate() {
            match element {
                Element::Literal(text) => {
                    let before = at.checked_sub(1).map_or(strip.0, |before| edges(elements[before]).1);
                    let after = elements.get(at + 1).map_or(strip.1, |after| edges(after).0);
                    let text = text.as_str();
                    let text = if before { text.trim_start() } else { text };
                    out.push_str(if after { text.trim_end() } else { text });
                }
                Element::Interpolation(inner) => {
                    let value = self.value(&inner.expr, scope)?;
                    out.push_str(&as_text(&value).map_err(|why| Wrong::new(why).at(scope, &inner.expr))?);
                }
                Element::Directive(directive) => out.push_str(&self.directive(directive, scope)?),
            }
            if out.len() > FUEL {
                return Err(Wrong::new("the text becomes too large"));
            }
        }
        Ok(out)
    }

    fn directive(&self, directive: &Directive, scope: &Scope<'_>) -> Result<String, Wrong> {
        match directive {
            Directive::If(choice) => {
                let (then, end) = (&choice.if_expr, &choice.endif_expr);
                let middle = choice.else_expr.as_ref();
                if as_flag(&self.value(&then.cond_expr, scope)?)? {
                    let after = middle.map_or(end.strip, |middle| middle.strip);
                    return self.part(&then.template, scope, (then.strip.strip_end(), after.strip_start()));
                }
                middle.map_or(Ok(String::new()), |middle| {
                    self.part(
                        &middle.template,
                        scope,
                        (middle.strip.strip_end(), end.strip.strip_start()),
                    )
                })
            }
            Directive::For(each) => {
                let (head, end) = (&each.for_expr, &each.endfor_expr);
                let key = head.key_var.as_ref().map(|name| name.as_str());
                let mut out = String::new();
                for pair in pairs(&self.value(&head.collection_expr, scope)?)? {
                    let inner = looped(scope, key, head.value_var.as_str(), pair);
                    let strip = (head.strip.strip_end(), end.strip.strip_start());
                    out.push_str(&self.part(&head.template, &inner, strip)?);
                    if out.len() > FUEL {
                        return Err(Wrong::new("the text becomes too large"));
                    }
                }
                Ok(out)
            }
        }
    }
}

/// The length of the names that an expression itself looks up.
fn names(expression: &Expression) -> usize {
    match expression {
        Expression::Variable(name) => name.as_str().len(),
        Expression::FuncCall(call) => call.name.name.as_str().len(),
        Expression::Traversal(traversal) => {
            let length = |operator: &Decorated<TraversalOperator>| match operator.value() {
                TraversalOperator::GetAttr(name) => name.as_str().len(),
                _ => 1,
            };
            traversal.operators.iter().map(length).sum()
        }
        _ => 0,
    }
}

/// Whether an element of a template takes away the blanks before and behind it.
fn edges(element: &Element) -> (bool, bool) {
    match element {
        Element::Literal(_) => (false, false),
        Element::Interpolation(inner) => (inner.strip.strip_start(), inner.strip.strip_end()),
        Element::Directive(directive) => match directive.as_ref() {
            Directive::If(choice) => (choice.if_expr.strip.strip_start(), choice.endif_expr.strip.strip_end()),
            Directive::For(each) => (each.for_expr.strip.strip_start(), each.endfor_expr.strip.strip_end()),
        },
    }
}

/// The names of one turn of a loop.
fn looped<'s>(outer: &'s Scope<'s>, key: Option<&str>, value: &str, pair: (Value, Value)) -> Scope<'s> {
    let mut names = HashMap::from([(value.to_owned(), pair.1)]);
    names.extend(key.map(|key| (key.to_owned(), pair.0)));
    Scope {
        file: outer.file,
        names,
        outer: Some(outer),
    }
}

/// What an index or a name picks.
pub(super) fn element(of: &Value, at: &Value) -> Result<Value, String> {
    let found = match of {
        Value::Array(values) => values.get(as_index(at)?),
        Value::Object(values) => values.get(&as_text(at)?),
        other => return Err(format!("{} has no elements", kind(other))),
    };
    found.cloned().ok_or_else(|| format!("there is no element {at}"))
}

impl Wrong {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            at: None,
        }
    }

    /// The place, if none is known yet.
    pub(super) fn at(mut self, scope: &Scope<'_>, expression: &Expression) -> Self {
        self.at = self.at.or_else(|| Some((scope.file, Some(expression.span()?.start))));
        self
    }
}

impl From<String> for Wrong {
    fn from(what: String) -> Self {
        Self::new(what)
    }
}

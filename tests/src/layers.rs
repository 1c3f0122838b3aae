//! The direction of the layers: which module of `rpc` may use which.

/// From the lowest to the highest. A module uses only those before it, and its own children.
const LAYERS: [&str; 11] = [
    "sync",
    "jsonrpc",
    "framing",
    "transport",
    "limits",
    "session",
    "service",
    "driver",
    "server",
    "client",
    "testing",
];

/// What stands above all layers: it may name any, and only `private` may be named by what is generated.
const EXEMPT: [&str; 2] = ["lib", "private"];

/// Every use in `source` that runs the wrong way. `file` is its path from `src`, for example `session/shared.rs`.
pub fn violations(file: &str, source: &str) -> Vec<String> {
    let module: Vec<&str> = file.trim_end_matches(".rs").trim_end_matches("/mod").split('/').collect();
    let own = module[0];
    if EXEMPT.contains(&own) {
        return Vec::new();
    }
    let rank = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    let Some(own_rank) = rank(own) else {
        return vec![format!("{file}: `{own}` is no layer: give it a place in the list")];
    };
    let code = without_comments(source);
    named_from_root(&code, module.len())
        .into_iter()
        .filter_map(|(line, name)| match rank(&name) {
            Some(rank) if rank <= own_rank => None,
            Some(_) => Some(format!("{file}:{line}: `{own}` uses `{name}`, which stands above it")),
            // The root offers names of every layer: through it anything could be used.
            None => Some(format!(
                "{file}:{line}: `crate::{name}` is named through the root, not through its layer"
            )),
        })
        .collect()
}

/// The parts of a session's state: values that are changed under its lock, and know nothing of that, nor of the handles.
const COMPONENTS: [&str; 8] = [
    "session/calls",
    "session/effects",
    "session/item_queue",
    "session/outbox",
    "session/requests",
    "session/subscribers",
    "session/subscriptions",
    "session/write_buffer",
];

/// Every place in the source of a component that names the shared state or a handle.
pub fn above_components(file: &str, source: &str) -> Vec<String> {
    let is_of = |component: &str| {
        let rest = file.strip_prefix(component);
        rest.is_some_and(|rest| rest.starts_with(['/', '.']))
    };
    let Some(component) = COMPONENTS.into_iter().find(|component| is_of(component)) else {
        return Vec::new();
    };
    let names_above = |line: &str| {
        let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        line.contains("shared::") || words.any(|word| matches!(word, "Shared" | "Session"))
    };
    let code = without_comments(source);
    code.lines()
        .enumerate()
        .filter(|(_, line)| names_above(line))
        .map(|(number, line)| format!("{file}:{}: `{component}` names `{}`", number + 1, line.trim()))
        .collect()
}

/// The code with comments blanked out: what documentation links to is not used. Lines stay where they are.
fn without_comments(source: &str) -> String {
    let code = |line: &str| line.find("//").map_or(line.len(), |start| start);
    source.lines().map(|line| format!("{}\n", &line[..code(line)])).collect()
}

/// The names that follow `crate::`, and those that follow as many `super::` as lead to the root, each with its line.
fn named_from_root(code: &str, depth: usize) -> Vec<(usize, String)> {
    let supers = "super::".repeat(depth);
    let mut named = Vec::new();
    for root in ["crate::", supers.as_str()] {
        for (start, _) in code.match_indices(root) {
            let joined = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '$');
            if code[..start].ends_with(joined) {
                continue;
            }
            let line = code[..start].matches('\n').count() + 1;
            let names = heads(&code[start + root.len()..]);
            // In a module within the file the same words lead to the file itself.
            let names = names.into_iter().filter(|name| root == "crate::" || LAYERS.contains(&name.as_str()));
            named.extend(names.map(|name| (line, name)));
        }
    }
    named
}

/// The first names of a path or of a group of paths: of `a::b` it is `a`, of `{a::{b, c}, d}` they are `a` and `d`.
fn heads(path: &str) -> Vec<String> {
    let head = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else {
        return vec![head(path)];
    };
    let (mut depth, mut heads, mut at_start) = (0, Vec::new(), true);
    for (index, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            c if at_start && !c.is_whitespace() => {
                heads.push(head(&group[index..]));
                at_start = false;
            }
            _ => {}
        }
    }
    heads
}

//! Imports inside a layer: where the modules of one folder name each other in a circle.
//!
//! A re-export leads to where a name is defined, and counts as nothing by itself: `mod.rs` may hand
//! out what its children define. A name that it defines itself is its own, and a child that uses
//! it, in a folder whose `mod.rs` uses that child, is a circle.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The path of a module from the root; of the root, none.
type Module = Vec<String>;

/// What `mod.rs` is called beside its children.
const OWN: &str = "mod.rs";

/// Every circle of imports among the direct children of a folder: the folder, and who uses whom.
/// `sources` are files by their paths from `src`, for example `session/shared.rs`.
pub fn circles(sources: &[(String, String)]) -> Vec<String> {
    let mut modules: BTreeMap<Module, Code> = sources
        .iter()
        .filter(|(file, _)| !is_test(file))
        .map(|(file, source)| {
            let code = source.parse().unwrap_or_else(|error| panic!("{file} is no Rust: {error}"));
            (module(file), Code::read(code))
        })
        .collect();
    // A folder is a module, whatever its own file says.
    let folders: Vec<Module> =
        modules.keys().flat_map(|of| (0..of.len()).map(|end| of[..end].to_vec())).collect();
    folders.into_iter().for_each(|folder| {
        modules.entry(folder).or_default();
    });
    let mut arrows: BTreeMap<Module, Arrows> = BTreeMap::new();
    for (from, code) in &modules {
        for path in &code.used {
            let Some(to) = absolute(&modules, from, path).map(|path| definition(&modules, &path, 0)) else {
                continue;
            };
            let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            let child = |module: &Module| module.get(common).map_or(OWN, String::as_str).to_owned();
            if *from != to && common > 0 {
                let folder = arrows.entry(from[..common].to_vec()).or_default();
                folder.entry((child(from), child(&to))).or_insert_with(|| path.join("::"));
            }
        }
    }
    arrows.iter().flat_map(|(folder, arrows)| circles_of(folder, arrows)).collect()
}

fn is_test(file: &str) -> bool {
    file.ends_with("tests.rs") || file.contains("/tests/")
}

fn module(file: &str) -> Module {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').filter(|name| *name != "lib").map(str::to_owned).collect()
}

/// Which child of a folder uses which, each with one path by which it does.
type Arrows = BTreeMap<(String, String), String>;

/// The arrows that are part of a circle, once for each folder.
fn circles_of(folder: &Module, arrows: &Arrows) -> Option<String> {
    let mut reached: BTreeSet<(String, String)> = arrows.keys().cloned().collect();
    loop {
        let further: BTreeSet<_> = reached
            .iter()
            .flat_map(|(a, b)| arrows.keys().filter(move |(from, _)| from == b).map(move |(_, c)| (a, c)))
            .map(|(a, c)| (a.clone(), c.clone()))
            .filter(|arrow| !reached.contains(arrow))
            .collect();
        if further.is_empty() {
            break;
        }
        reached.extend(further);
    }
    let circular = arrows.iter().filter(|((a, b), _)| reached.contains(&(b.clone(), a.clone())));
    let shown: Vec<String> = circular.map(|((a, b), path)| format!("{a} uses {b} ({path})")).collect();
    (!shown.is_empty()).then(|| format!("{}: {}", folder.join("/"), shown.join(", ")))
}

/// The paths that a file has.
#[derive(Debug, Default)]
struct Code {
    /// In `use` items that are private, and in expressions and types.
    used: Vec<Vec<String>>,
    /// In `use` items of any kind, by the name that they bring into scope.
    brought: BTreeMap<String, Vec<String>>,
}

impl Code {
    fn read(code: TokenStream) -> Self {
        let mut read = Self::default();
        read.tokens(code);
        read
    }

    fn tokens(&mut self, code: TokenStream) {
        let tokens: Vec<TokenTree> = code.into_iter().collect();
        let (mut at, mut is_public) = (0, false);
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(word) if *word == "pub" => {
                    is_public = true;
                    // `pub(in a::b)` uses nothing.
                    at += usize::from(matches!(tokens.get(at + 1), Some(TokenTree::Group(of))
                        if of.delimiter() == Delimiter::Parenthesis));
                }
                TokenTree::Ident(word) if *word == "use" => {
                    let end = at + tokens[at..].iter().take_while(|token| !is_punct(token, ';')).count();
                    let mut paths = Vec::new();
                    tree(&tokens[at + 1..end], &[], &mut paths);
                    for (path, name) in paths {
                        if !is_public {
                            self.used.push(path.clone());
                        }
                        self.brought.insert(name, path);
                    }
                    (at, is_public) = (end, false);
                }
                TokenTree::Ident(_) => {
                    is_public = false;
                    let (path, end) = path(&tokens, at);
                    if path.len() > 1 {
                        self.used.push(path);
                    }
                    at = end - 1;
                }
                TokenTree::Punct(mark) if mark.as_char() == '#' && is_test_module(&tokens[at..]) => at += 4,
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => is_public = false,
            }
            at += 1;
        }
    }
}

/// `#[cfg(test)] mod tests { .. }`: what tests use is another matter.
fn is_test_module(tokens: &[TokenTree]) -> bool {
    let [
        _,
        TokenTree::Group(attribute),
        TokenTree::Ident(word),
        TokenTree::Ident(_),
        TokenTree::Group(_),
        ..,
    ] = tokens
    else {
        return false;
    };
    *word == "mod" && attribute.to_string().contains("test")
}

fn is_punct(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(found) if found.as_char() == mark)
}

/// The path that begins at `at`, and where it ends: `a::b` of `a::b::<C>(d)`.
fn path(tokens: &[TokenTree], mut at: usize) -> (Vec<String>, usize) {
    let mut path = Vec::new();
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        path.push(word.to_string());
        at += 1;
        if !(tokens.get(at).is_some_and(|token| is_punct(token, ':'))
            && tokens.get(at + 1).is_some_and(|token| is_punct(token, ':'))
            && matches!(tokens.get(at + 2), Some(TokenTree::Ident(_))))
        {
            break;
        }
        at += 2;
    }
    (path, at)
}

/// The paths of a tree of imports below `prefix`, each with the name that it brings into scope.
fn tree(tokens: &[TokenTree], prefix: &[String], paths: &mut Vec<(Vec<String>, String)>) {
    // Behind the last comma there may be nothing.
    for branch in tokens.split(|token| is_punct(token, ',')).filter(|branch| !branch.is_empty()) {
        let mut path = prefix.to_vec();
        let mut alias = None;
        let mut words = branch.iter();
        while let Some(token) = words.next() {
            match token {
                TokenTree::Ident(word) if *word == "as" => alias = words.next().map(ToString::to_string),
                TokenTree::Ident(word) if *word == "self" && !path.is_empty() => {}
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    tree(&inner, &path, paths);
                    path.clear();
                }
                _ => {}
            }
        }
        if let Some(name) = alias.or_else(|| path.last().cloned()).filter(|_| !path.is_empty()) {
            paths.push((path, name));
        }
    }
}

/// A path from the root; `None` where it leads out of the crate.
fn absolute(modules: &BTreeMap<Module, Code>, from: &Module, path: &[String]) -> Option<Vec<String>> {
    let supers = path.iter().take_while(|name| *name == "super").count();
    let (base, rest) = match path.first()?.as_str() {
        "crate" => (Vec::new(), &path[1..]),
        "self" => (from.clone(), &path[1..]),
        "super" => (from[..from.len().checked_sub(supers)?].to_vec(), &path[supers..]),
        name => {
            let child = [from.as_slice(), &[name.to_owned()]].concat();
            (modules.contains_key(&child).then(|| from.clone())?, path)
        }
    };
    Some([base, rest.to_vec()].concat())
}

/// The module that defines what a path from the root names: re-exports are followed.
fn definition(modules: &BTreeMap<Module, Code>, path: &[String], followed: usize) -> Module {
    let mut module = Module::new();
    for (at, name) in path.iter().enumerate() {
        let child = [module.as_slice(), std::slice::from_ref(name)].concat();
        if modules.contains_key(&child) {
            module = child;
            continue;
        }
        let brought = modules.get(&module).and_then(|code| code.brought.get(name));
        let target = brought.and_then(|path| absolute(modules, &module, path));
        return match target {
            Some(target) if followed < 10 && target != path => {
                definition(modules, &[target, path[at + 1..].to_vec()].concat(), followed + 1)
            }
            _ => module,
        };
    }
    module
}

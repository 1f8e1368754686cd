//! Which room uses which, as the imports say. The rules are in docs/ARCHITECTURE.md.

use crate::sources::{CRATES, Source};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::Visit;

/// The rooms that are smaller than a module of the first level.
const INNER_ROOMS: [&str; 6] = [
    "labtests/suites/beyond",
    "labtests/suites/nastier",
    "labtests/suites/raft",
    "labtests/suites/services",
    "labtests/suites/worlds",
    "src/raft/beyond",
];

/// Each arrow between rooms, with a place in the code where it comes from.
pub fn arrows(sources: &[Source]) -> BTreeMap<String, String> {
    let modules: BTreeSet<Vec<String>> =
        sources.iter().map(|source| module(&source.path)).collect();
    let mut arrows = BTreeMap::new();
    for source in sources.iter().filter(|source| !is_test(&source.path)) {
        let module = module(&source.path);
        let mut paths = Paths::default();
        paths.visit_file(&source.file);
        for path in paths.0 {
            let Some(target) = absolute(&path, &module, &modules) else { continue };
            let from = (room(&module), module[0].as_str());
            let to = (room(&target), target[0].as_str());
            for arrow in between(from, to) {
                let place = format!("`{}` in {}", path.join("::"), source.path);
                arrows.entry(arrow).or_insert(place);
            }
        }
    }
    arrows
}

/// The arrows that an import makes: between crates, and between rooms, where the page lists them.
fn between((from, from_crate): (String, &str), (to, to_crate): (String, &str)) -> Vec<String> {
    if from_crate != to_crate {
        let crates = format!("{from_crate} -> {to_crate}");
        let of_src =
            (from_crate == "src" && from != "src").then(|| format!("{from} -> {to_crate}"));
        return of_src.into_iter().chain([crates]).collect();
    }
    let is_whole = |room: &str| CRATES.iter().any(|(name, _)| *name == room);
    match from != to && !is_whole(&from) && !is_whole(&to) {
        true => vec![format!("{from} -> {to}")],
        false => Vec::new(),
    }
}

/// The module of a file: `labtests/src/cluster/links.rs` is `labtests::cluster::links`.
fn module(path: &str) -> Vec<String> {
    let longest = CRATES.iter().filter(|(_, folder)| path.starts_with(&format!("{folder}/")));
    let (name, folder) = longest.max_by_key(|(_, folder)| folder.len()).expect("a crate's file");
    let inside = path[folder.len() + 1..].trim_end_matches(".rs").trim_end_matches("/mod");
    let parts = inside.split('/').filter(|part| *part != "lib").map(String::from);
    std::iter::once(name.to_string()).chain(parts).collect()
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The room of a module: one of the inner rooms, or the crate's module of the first level.
fn room(module: &[String]) -> String {
    let path = module.join("/");
    let is_in = |room: &&&str| path == **room || path.starts_with(&format!("{room}/"));
    if let Some(room) = INNER_ROOMS.iter().find(is_in) {
        return room.to_string();
    }
    match &module[0][..] {
        whole @ ("labrpc" | "bugs") => whole.into(),
        name => module.get(1).map_or(name.into(), |first| format!("{name}/{first}")),
    }
}

/// The module that a path leads to, if it is one of ours.
fn absolute(
    path: &[String],
    module: &[String],
    modules: &BTreeSet<Vec<String>>,
) -> Option<Vec<String>> {
    let mut start = module.to_vec();
    let mut rest = path;
    match &path.first()?[..] {
        "crate" => {
            start.truncate(1);
            rest = &path[1..];
        }
        "self" => rest = &path[1..],
        "super" => {
            while rest.first().is_some_and(|part| part == "super") {
                start.pop();
                rest = &rest[1..];
            }
        }
        "labrpc" | "labtests" => {
            start = vec![path[0].clone()];
            rest = &path[1..];
        }
        "raftlab" | "gallery" => {
            start = vec![if path[0] == "raftlab" { "src" } else { "bugs" }.into()];
            rest = &path[1..];
        }
        child => {
            if start == ["src", "main"] {
                start.pop(); // main.rs is the root of its crate
            }
            let inside = start.iter().cloned().chain([child.to_string()]).collect();
            if !modules.contains::<Vec<String>>(&inside) {
                return None;
            }
        }
    }
    start.extend(rest.iter().cloned());
    // The path goes on to an item in the module.
    while start.len() > 1 && !modules.contains(&start) {
        start.pop();
    }
    Some(start)
}

/// All paths in a file, outside its tests.
#[derive(Default)]
struct Paths(BTreeSet<Vec<String>>);

impl Paths {
    fn add_tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| before.iter().cloned().chain([name.to_string()]).collect();
        match tree {
            syn::UseTree::Path(path) => self.add_tree(&with_name(before, &path.ident), &path.tree),
            syn::UseTree::Name(name) if name.ident == "self" => _ = self.0.insert(before.to_vec()),
            syn::UseTree::Name(name) => _ = self.0.insert(with(&name.ident)),
            syn::UseTree::Rename(rename) => _ = self.0.insert(with(&rename.ident)),
            syn::UseTree::Glob(_) => _ = self.0.insert(before.to_vec()),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.add_tree(before, tree));
            }
        }
    }
}

fn with_name(before: &[String], name: &syn::Ident) -> Vec<String> {
    before.iter().cloned().chain([name.to_string()]).collect()
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let is_test = |attribute: &syn::Attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|ident| ident == "test")
        };
        if !module.attrs.iter().any(is_test) {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|segment| segment.ident.to_string());
        if path.segments.len() > 1 {
            self.0.insert(segments.collect());
        }
        syn::visit::visit_path(self, path);
    }
}

//! The house rules that can be checked: which room imports which (docs/ARCHITECTURE.md), and how long files and functions are.

#[path = "house/imports.rs"]
mod imports;
#[path = "house/sources.rs"]
mod sources;

use imports::arrows;
use sources::{Source, sources};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::spanned::Spanned;
use syn::visit::Visit;

/// The longest file in a `src` folder, and the longest file of tests, in lines.
const LONGEST_FILE: usize = 400;
const LONGEST_FILE_OF_TESTS: usize = 900;

/// The longest function in a `src` folder, in lines.
const LONGEST_FUNCTION: usize = 70;

/// The arrows in the block `rooms` of the page, such as `labtests/cluster -> labtests/ledger`.
fn arrows_in_the_page() -> BTreeSet<String> {
    let page = fs::read_to_string("docs/ARCHITECTURE.md").unwrap();
    let (_, block) = page.split_once("```rooms\n").expect("the page has a block \"rooms\"");
    let (block, _) = block.split_once("```").expect("the block ends");
    block.lines().map(String::from).collect()
}

#[test]
fn rooms_import_what_the_architecture_says_and_nothing_else() {
    let page = arrows_in_the_page();
    let code: BTreeMap<String, String> = arrows(&sources());
    let new = code.iter().filter(|(arrow, _)| !page.contains(*arrow));
    let new: Vec<_> = new.map(|(arrow, place)| format!("{arrow}, because of {place}")).collect();
    let gone: Vec<_> = page.iter().filter(|arrow| !code.contains_key(*arrow)).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "docs/ARCHITECTURE.md and the imports differ.\n\
         In the code only (if this is on purpose, add it to the page and say why in the commit): {new:#?}\n\
         On the page only: {gone:#?}"
    );
}

/// Rooms in a circle can't be read, moved or left out alone. The page gives the reason for each circle that there is.
#[test]
fn rooms_have_one_direction() {
    let page = arrows_in_the_page();
    let arrow = |arrow: &'_ String| {
        let (from, to) = arrow.split_once(" -> ").expect("A -> B");
        (from.to_string(), to.to_string())
    };
    let mut left: BTreeSet<(String, String)> = page.iter().map(arrow).collect();
    // An arrow is in no circle if nothing leads to its beginning, or nothing leads on from its end.
    loop {
        let before = left.clone();
        left.retain(|(from, to)| {
            before.iter().any(|(_, other)| other == from)
                && before.iter().any(|(other, _)| other == to)
        });
        if left == before {
            break;
        }
    }
    let explained =
        |room: &str| room.starts_with("labtests/suites") || room.starts_with("src/raft");
    left.retain(|(from, to)| !explained(from) || !explained(to));
    assert!(left.is_empty(), "these arrows are part of a circle: {left:#?}");
}

#[test]
fn no_file_is_longer_than_one_reads_at_once() {
    let long = sources().into_iter().filter_map(|Source { path, text, .. }| {
        let is_test = path.ends_with("tests.rs") || path.contains("/tests/");
        let limit = if is_test { LONGEST_FILE_OF_TESTS } else { LONGEST_FILE };
        let lines = text.lines().count();
        (lines > limit).then(|| format!("{path} has {lines} lines, and the limit is {limit}"))
    });
    let long: Vec<_> = long.collect();
    assert!(long.is_empty(), "split by purpose: {long:#?}");
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let mut long = Vec::new();
    for Source { path, file, .. } in &sources() {
        let mut functions = Functions { path, long: &mut long };
        functions.visit_file(file);
    }
    assert!(long.is_empty(), "the limit is {LONGEST_FUNCTION} lines: {long:#?}");
}

struct Functions<'a> {
    path: &'a str,
    long: &'a mut Vec<String>,
}

impl Functions<'_> {
    fn measure(&mut self, name: &syn::Ident, all: proc_macro2::Span) {
        let lines = all.end().line + 1 - name.span().start().line;
        if lines > LONGEST_FUNCTION {
            self.long.push(format!("{} in {} has {lines} lines", name, self.path));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.measure(&function.sig.ident, function.span());
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.measure(&function.sig.ident, function.span());
        syn::visit::visit_impl_item_fn(self, function);
    }
}

/// A page that names a file that has moved sends its reader nowhere.
#[test]
fn the_pages_name_files_that_exist() {
    let pages = ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md"];
    let docs = fs::read_dir("docs").unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut gone = Vec::new();
    for page in pages.into_iter().map(PathBuf::from).chain(docs) {
        let text = fs::read_to_string(&page).unwrap();
        let folder = page.parent().unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let links = links.filter(|link| !link.is_empty() && !link.contains("://"));
        gone.extend(links.filter(|link| !folder.join(link).exists()).map(String::from));
        let code = text.split('`').skip(1).step_by(2).filter(|path| is_path(path));
        gone.extend(code.filter(|path| !Path::new(path).exists()).map(String::from));
    }
    assert!(gone.is_empty(), "these paths lead nowhere: {gone:#?}");
}

/// Whether a piece of code in a page is the path of a source file from the project's folder.
fn is_path(code: &str) -> bool {
    let roots = ["labrpc/src/", "labtests/src/", "labtests/tests/", "src/", "bugs/src/", "tests/"];
    let is_file = code.ends_with(".rs") || code.ends_with('/');
    is_file && roots.iter().any(|root| code.starts_with(root)) && !code.contains(['*', ' ', '{'])
}

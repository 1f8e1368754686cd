//! How to call this program again.

use std::borrow::Cow;
use std::env;
use std::path::Path;

/// How to call this program again. Where cargo has run it, by cargo, which builds it anew after an edit; otherwise as it was called,
/// also if that is a path (`target/debug/examples/mine`). These variables of the environment come first, as far as they are set.
pub fn program_with(variables: &[&str]) -> String {
    let name = env::args_os().next();
    let name = name.map_or("raftlab".into(), |name| name.to_string_lossy().into_owned());
    let program = by_cargo(Path::new(&name)).unwrap_or_else(|| quoted(&name).into_owned());
    let set = |variable: &&str| Some(format!("{variable}={} ", quoted(&env::var(variable).ok()?)));
    variables.iter().filter_map(set).chain([program]).collect()
}

/// How to call this program again, see [`program_with`].
pub fn program() -> String {
    program_with(&[])
}

/// `cargo run`, if that is how it was called: it tells a program whose it is.
fn by_cargo(program: &Path) -> Option<String> {
    env::var_os("CARGO")?;
    let package = env::var("CARGO_PKG_NAME").ok()?;
    let folder = env::var("CARGO_MANIFEST_DIR").ok()?;
    // Cargo says there what a program is made of. A program that was started by another one of cargo's is of another package.
    let sources = std::fs::read_to_string(program.with_extension("d")).ok()?;
    if !sources.contains(&folder) {
        return None;
    }
    let is_here = env::current_dir().is_ok_and(|here| here == Path::new(&folder));
    cargo_run(program, (!is_here).then_some(&package))
}

/// The command that builds and runs the program at this path, of that package or of the one in the current folder.
fn cargo_run(program: &Path, package: Option<&str>) -> Option<String> {
    let name = program.file_stem()?.to_str()?;
    let folder = program.parent()?;
    let (sort, folder) = match folder.file_name()?.to_str()? {
        "examples" => ("--example", folder.parent()?),
        _ => ("--bin", folder),
    };
    let profile = match folder.file_name()?.to_str()? {
        "debug" => String::new(),
        "release" => " --release".into(),
        other => format!(" --profile {other}"),
    };
    let package = package.map_or(String::new(), |package| format!(" -p {package}"));
    Some(format!("cargo run{profile}{package} {sort} {name} --"))
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./=:,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', "'\\''")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_runs_what_it_has_built() {
        let run = |path: &str, package| cargo_run(Path::new(path), package).unwrap();
        assert_eq!(run("target/debug/raftlab", None), "cargo run --bin raftlab --");
        assert_eq!(
            run("/x/target/release/examples/go_shape", Some("labtests")),
            "cargo run --release -p labtests --example go_shape --"
        );
        assert_eq!(
            run("target/x86_64-unknown-linux-musl/mutants/raftlab", None),
            "cargo run --profile mutants --bin raftlab --"
        );
        assert_eq!(cargo_run(Path::new("raftlab"), None), None, "somewhere in the PATH");
    }

    #[test]
    fn a_shell_takes_a_quoted_word_for_one() {
        assert_eq!(quoted("target/debug/raftlab"), "target/debug/raftlab");
        assert_eq!(quoted("success=agreed,term=epoch"), "success=agreed,term=epoch");
        assert_eq!(quoted("my lab's/raftlab"), "'my lab'\\''s/raftlab'");
        assert_eq!(quoted(""), "''");
    }
}

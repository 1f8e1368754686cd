//! Prints the command that runs this program again.

use std::borrow::Cow;
use std::env;
use std::path::{Path, PathBuf};

/// The command that runs this program again. If cargo started the program, the command uses cargo, which rebuilds the program
/// after an edit. Otherwise the command repeats the name as it was called, even if that is a path
/// (`target/debug/examples/mine`). The given environment variables come first, if they are set.
pub fn program_with(variables: &[&str]) -> String {
    let name = env::args_os().next();
    let name = name.map_or("raftlab".into(), |name| name.to_string_lossy().into_owned());
    let by_cargo = Cargo::of_environment().and_then(|cargo| cargo.run(Path::new(&name)));
    let program = by_cargo.unwrap_or_else(|| quoted(&name).into_owned());
    let set = |variable: &&str| Some(format!("{variable}={} ", quoted(&env::var(variable).ok()?)));
    variables.iter().filter_map(set).chain([program]).collect()
}

/// The command that runs this program again, see [`program_with`].
pub fn program() -> String {
    program_with(&[])
}

/// What cargo tells a program that it runs.
struct Cargo {
    package: String,
    folder: PathBuf,
    here: PathBuf,
}

impl Cargo {
    fn of_environment() -> Option<Cargo> {
        env::var_os("CARGO")?;
        Some(Cargo {
            package: env::var("CARGO_PKG_NAME").ok()?,
            folder: env::var_os("CARGO_MANIFEST_DIR")?.into(),
            here: env::current_dir().ok()?,
        })
    }

    /// The command that builds and runs the program at this path, if cargo built that program.
    fn run(&self, program: &Path) -> Option<String> {
        // In this file cargo lists the sources of a program. A program that was started by another cargo program may belong to
        // another package.
        let sources = std::fs::read_to_string(program.with_extension("d")).ok()?;
        if !sources.contains(self.folder.to_str()?) {
            return None;
        }
        let name = program.file_stem()?.to_str()?;
        let folder = program.parent()?;
        let (sort, folder) = match folder.file_name()?.to_str()? {
            "deps" => return None, // a test
            "examples" => ("--example", folder.parent()?),
            _ => ("--bin", folder),
        };
        let profile = match folder.file_name()?.to_str()? {
            "debug" => String::new(),
            "release" => " --release".into(),
            other => format!(" --profile {other}"),
        };
        Some(format!("cargo run{profile}{} {sort} {name} --", self.package_from_here()))
    }

    /// The arguments that let cargo find the package from the current folder.
    fn package_from_here(&self) -> String {
        let is_workspace =
            |at: &Path| self.folder.starts_with(at) && at.join("Cargo.toml").is_file();
        if self.here == self.folder {
            String::new()
        } else if self.here.ancestors().any(is_workspace) {
            format!(" -p {}", self.package)
        } else {
            let manifest = self.folder.join("Cargo.toml");
            format!(" --manifest-path {}", quoted(&manifest.to_string_lossy()))
        }
    }
}

/// Quotes a word so that a shell reads it as one word.
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

    /// The cargo command, given from the folder `here`, for a program at `path` whose sources are in `of`. In the returned
    /// text, `ROOT` stands for the folder that contains everything; there is a package in `ROOT/my_raft`.
    fn run(path: &str, of: &str, here: &str) -> Option<String> {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        std::fs::create_dir(at("my_raft")).unwrap();
        std::fs::write(at("my_raft/Cargo.toml"), "").unwrap();
        let program = at(path);
        std::fs::create_dir_all(program.parent().unwrap()).unwrap();
        let sources = format!("{}: {}/src/main.rs", program.display(), at(of).display());
        std::fs::write(program.with_extension("d"), sources).unwrap();
        let cargo = Cargo { package: "mine".into(), folder: at("my_raft"), here: at(here) };
        let text = cargo.run(&program)?;
        Some(text.replace(&*root.path().to_string_lossy(), "ROOT"))
    }

    #[test]
    fn cargo_runs_what_it_has_built() {
        let run = |path| run(path, "my_raft", "my_raft").unwrap();
        assert_eq!(run("debug/lab"), "cargo run --bin lab --");
        assert_eq!(run("release/lab"), "cargo run --release --bin lab --");
        assert_eq!(run("release/examples/mine"), "cargo run --release --example mine --");
        assert_eq!(run("mutants/lab"), "cargo run --profile mutants --bin lab --");
    }

    #[test]
    fn cargo_finds_the_package_from_any_folder() {
        let run = |here| run("debug/lab", "my_raft", here).unwrap();
        assert_eq!(run("my_raft/src"), "cargo run -p mine --bin lab --");
        let from_elsewhere = "cargo run --manifest-path ROOT/my_raft/Cargo.toml --bin lab --";
        assert_eq!(run(""), from_elsewhere, "there is no Cargo.toml");
        assert_eq!(run("other"), from_elsewhere);
    }

    #[test]
    fn what_cargo_runs_otherwise_or_not_at_all_is_called_by_its_path() {
        assert_eq!(run("debug/deps/lab-0123", "my_raft", ""), None, "a test");
        assert_eq!(run("debug/lab", "other", ""), None, "of another package");
        let cargo = Cargo { package: "lab".into(), folder: "/x".into(), here: "/x".into() };
        assert_eq!(cargo.run(Path::new("raftlab")), None, "somewhere in the PATH");
    }

    #[test]
    fn a_shell_takes_a_quoted_word_for_one() {
        assert_eq!(quoted("target/debug/raftlab"), "target/debug/raftlab");
        assert_eq!(quoted("success=agreed,term=epoch"), "success=agreed,term=epoch");
        assert_eq!(quoted("my lab's/raftlab"), "'my lab'\\''s/raftlab'");
        assert_eq!(quoted(""), "''");
    }
}

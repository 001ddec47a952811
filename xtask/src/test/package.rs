//! The kernel's crates as others get them: packed as for crates.io, and used by a crate that is not in this workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use toml::{Table, Value};

use super::Passed;
use crate::exec::{output, run};
use crate::workspace::{cargo, root, target_dir};

/// The crates that are published. The examples lie in the first one's folder and may use them all.
const KERNEL: &[&str] = &["parlor-cqrs-core", "parlor-cqrs-sql", "parlor-cqrs-http", "parlor-cqrs-kafka"];

/// Relative to the workspace's root.
const EXAMPLES: &str = "cqrs/core/examples";

/// Packs the crates, builds each as it was packed, and runs the examples, in a fresh crate that depends on nothing else.
///
/// `cargo package` would build them too. But it unpacks them into a folder of `CARGO_HOME` that is named after the place of
/// the workspace and the crate's version, and takes what lies there from an earlier run for the same.
pub(super) fn package() -> Result<Passed> {
    let examples = examples()?;
    let outside = tempfile::Builder::new().prefix("parlor-outside-").tempdir()?;
    // A developer's uncommitted change is what is to be checked; a clone in CI has none.
    run(cargo().args(["package", "--allow-dirty", "--no-verify"]).args(selected()))?;
    let unpacked =
        KERNEL.iter().map(|name| Ok((*name, unpack(name, outside.path())?))).collect::<Result<Vec<_>>>()?;

    fs::create_dir_all(outside.path().join("src/bin"))?;
    for example in &examples {
        let name = example.file_name().context("an example is a file")?;
        fs::copy(example, outside.path().join("src/bin").join(name))?;
    }
    // The lock file and profiles of the workspace: the same versions, built alike, so that most of them are built already.
    fs::copy(root().join("Cargo.lock"), outside.path().join("Cargo.lock"))?;
    fs::write(outside.path().join("Cargo.toml"), manifest(&unpacked)?.to_string())?;

    let in_it = |arguments: &[&str]| {
        let mut cargo = cargo();
        cargo.current_dir(outside.path()).args(arguments).env("CARGO_TARGET_DIR", target_dir());
        cargo
    };
    run(in_it(&["build"]).args(selected()))?;
    for example in &examples {
        let name = example.file_stem().context("an example has a name")?;
        run(in_it(&["run", "--quiet", "--bin"]).arg(name))?;
    }
    Ok(Passed::default())
}

fn selected() -> impl Iterator<Item = String> {
    KERNEL.iter().map(|name| format!("--package={name}"))
}

/// The example files, of which there must be one at least.
fn examples() -> Result<Vec<PathBuf>> {
    let folder = root().join(EXAMPLES);
    let files = fs::read_dir(&folder).with_context(|| format!("{EXAMPLES} can't be read"))?;
    let mut examples = files.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
    examples.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    examples.sort();
    ensure!(!examples.is_empty(), "{EXAMPLES} holds no example");
    Ok(examples)
}

/// Unpacks what `cargo package` made of the crate, and gives the folder.
fn unpack(name: &str, into: &Path) -> Result<PathBuf> {
    // Such as `path+file:///…/cqrs/core#parlor-cqrs-core@0.1.0`.
    let id = output(cargo().args(["pkgid", "--package", name]))?;
    let version = id.rsplit(['@', '#']).next().context("a package id ends with the version")?;
    let stem = format!("{name}-{version}");
    let archive = target_dir().join("package").join(format!("{stem}.crate"));
    output(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(into))?;
    Ok(into.join(stem))
}

/// The manifest of a crate that depends on what the packed crates' examples depend on, with the packed crates by path.
fn manifest(unpacked: &[(&str, PathBuf)]) -> Result<Table> {
    let mut dependencies = Table::new();
    let mut patches = Table::new();
    for (name, folder) in unpacked {
        let packed = read(&folder.join("Cargo.toml"))?;
        if *name == KERNEL[0] {
            for kind in ["dependencies", "dev-dependencies"] {
                dependencies.extend(packed.get(kind).and_then(Value::as_table).cloned().unwrap_or_default());
            }
        }
        let mut by_path = Table::new();
        by_path.insert("path".into(), folder.to_str().context("temporary paths are UTF-8")?.into());
        dependencies.insert((*name).into(), by_path.clone().into());
        patches.insert((*name).into(), by_path.into());
    }

    let mut package = Table::new();
    package.insert("name".into(), "outside".into());
    package.insert("version".into(), "0.0.0".into());
    package.insert("edition".into(), "2024".into());

    let mut manifest = Table::new();
    manifest.insert("package".into(), package.into());
    manifest.insert("dependencies".into(), dependencies.into());
    manifest.insert("patch".into(), Table::from_iter([("crates-io".to_owned(), patches.into())]).into());
    // Stands alone even if the temporary folder lies in some workspace.
    manifest.insert("workspace".into(), Table::new().into());
    if let Some(profiles) = read(&root().join("Cargo.toml"))?.remove("profile") {
        manifest.insert("profile".into(), profiles);
    }
    Ok(manifest)
}

fn read(manifest: &Path) -> Result<Table> {
    let text =
        fs::read_to_string(manifest).with_context(|| format!("{} can't be read", manifest.display()))?;
    text.parse().with_context(|| format!("{} is no manifest", manifest.display()))
}

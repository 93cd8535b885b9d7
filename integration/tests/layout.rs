//! The rooms of both crates: which may import which, that no two files need each other, and what a `mod.rs` is.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    File, Item, UseTree,
    visit::{self, Visit},
};

/// The floors of a crate, from the ground up: a file imports from its own floor and from those below. CONTRIBUTING.md has
/// the same.
struct Crate {
    src: &'static str,
    floors: &'static [&'static [&'static str]],
}

const CRATES: [Crate; 2] = [
    Crate {
        src: "../src",
        floors: &[
            &["classify", "clock", "environment", "id", "sync", "transport"],
            &["header"],
            &["document", "w3c"],
            &["emitter", "grpc", "sampling"],
            // What an open segment needs of its recorder.
            &["recorder::core", "recorder::stats", "response_head"],
            &["entity"],
            &["recorder"],
            &["context"],
            &["body", "future"],
            &["call"],
            &["client", "message", "server", "subscriber"],
            &["guide", "lib"],
        ],
    },
    Crate {
        src: "../xray-local/src",
        floors: &[
            &["clock", "measure", "options", "text"],
            &["check", "model"],
            &["receive", "sampling", "store", "terminal", "web"],
            &["daemon"],
            &["lib", "main"],
        ],
    },
];

/// A path of modules, such as `["recorder", "core"]`.
type Module = Vec<String>;

impl Crate {
    fn src(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(self.src)
    }

    /// The files, by the module that each of them is; models of loom are tests.
    fn files(&self) -> BTreeMap<Module, File> {
        fn collect(folder: &Path, module: &[String], files: &mut BTreeMap<Module, File>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let inner = |name| [module, &[name]].concat();
                if path.is_dir() {
                    collect(&path, &inner(name), files);
                } else if path.extension().is_some_and(|extension| extension == "rs") && name != "models" {
                    let module = if name == "mod" { module.to_vec() } else { inner(name) };
                    files.insert(module, syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap());
                }
            }
        }

        let mut files = BTreeMap::new();
        collect(&self.src(), &[], &mut files);
        assert!(files.len() > 30, "{}", self.src);
        files
    }

    fn is_mod_rs(&self, module: &[String]) -> bool {
        self.src().join(module.join("/")).join("mod.rs").exists()
    }

    fn floor(&self, module: &[String]) -> usize {
        let name = module.join("::");
        let holds = |room: &&str| name == **room || name.starts_with(&format!("{room}::"));
        // `recorder::core` is not on the floor of the other files of `recorder`.
        let longest = |rooms: &[&str]| rooms.iter().filter(|room| holds(room)).map(|room| room.len()).max();
        let floors = self.floors.iter().enumerate().filter_map(|(floor, rooms)| Some((longest(rooms)?, floor)));
        floors.max().unwrap_or_else(|| panic!("{name} is on no floor of {}: add it", self.src)).1
    }

    /// The files that each file imports from.
    fn imports(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let files = self.files();
        let reexports = reexports(&files);
        let resolve = |mut path: Vec<String>| {
            // Names are passed on a few times at most.
            for _ in 0..8 {
                let known = (1..=path.len()).rev().find_map(|len| Some((len, reexports.get(&path[..len])?)));
                match known {
                    Some((len, target)) if *target != path[..len] => path = [target.as_slice(), &path[len..]].concat(),
                    _ => break,
                }
            }
            (1..=path.len()).rev().map(|len| path[..len].to_vec()).find(|module| files.contains_key(module))
        };
        let of = |(module, file): (&Module, &File)| {
            let local = |path: &Vec<String>| ["crate", "self", "super"].contains(&path[0].as_str());
            let paths = Paths::of(file).into_iter().filter(local);
            let targets = paths.filter_map(|path| resolve(absolute(module, &path)));
            (module.clone(), targets.filter(|target| target != module).collect())
        };
        // A `mod.rs` passes names on, and imports nothing for itself.
        files.iter().filter(|(module, _)| !self.is_mod_rs(module)).map(of).collect()
    }
}

/// The paths that a file names, as they are written.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl Paths {
    fn of(file: &File) -> Vec<Vec<String>> {
        let mut paths = Self::default();
        paths.visit_file(file);
        paths.0
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String]) {
        match tree {
            UseTree::Path(path) => self.add_tree(&path.tree, &[before, &[path.ident.to_string()]].concat()),
            UseTree::Name(name) => self.0.push([before, &[name.ident.to_string()]].concat()),
            UseTree::Rename(rename) => self.0.push([before, &[rename.ident.to_string()]].concat()),
            UseTree::Glob(_) => self.0.push(before.to_vec()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(tree, before)),
        }
    }
}

impl<'a> Visit<'a> for Paths {
    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.add_tree(&item.tree, &[]);
    }

    fn visit_visibility(&mut self, _: &'a syn::Visibility) {}

    fn visit_path(&mut self, path: &'a syn::Path) {
        self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

/// Which file each name of a module comes from, where the module only passes it on.
fn reexports(files: &BTreeMap<Module, File>) -> BTreeMap<Vec<String>, Vec<String>> {
    let mut reexports = BTreeMap::new();
    for (module, file) in files {
        for item in &file.items {
            let Item::Use(item) = item else { continue };
            let mut paths = Paths::default();
            paths.visit_item_use(item);
            for path in paths.0 {
                let Some(name) = path.last() else { continue };
                reexports.insert([module.as_slice(), std::slice::from_ref(name)].concat(), absolute(module, &path));
            }
        }
    }
    reexports
}

fn absolute(module: &[String], path: &[String]) -> Vec<String> {
    let parent = &module[..module.len().saturating_sub(1)];
    match path.first().map(String::as_str) {
        Some("crate") => path[1..].to_vec(),
        Some("self") => [module, &path[1..]].concat(),
        Some("super") => absolute(parent, &[&["self".to_owned()], &path[1..]].concat()),
        _ => path.to_vec(),
    }
}

#[test]
fn no_file_imports_from_a_floor_above() {
    let mut upward = Vec::new();
    for krate in &CRATES {
        for (module, targets) in krate.imports() {
            for target in targets.iter().filter(|target| krate.floor(target) > krate.floor(&module)) {
                upward.push(format!("{}: {} imports {}", krate.src, module.join("::"), target.join("::")));
            }
        }
    }
    assert_eq!(upward, [""; 0]);
}

#[test]
fn no_two_files_need_each_other() {
    for (krate, at_least) in CRATES.iter().zip([300, 50]) {
        let mut left = krate.imports();
        assert!(left.values().map(BTreeSet::len).sum::<usize>() > at_least, "imports are found in {}", krate.src);
        // What imports nothing that is left is in no circle, and then neither is what imports only that.
        loop {
            let modules: BTreeSet<Module> = left.keys().cloned().collect();
            let before = left.len();
            left.retain(|_, targets| !targets.is_disjoint(&modules));
            if left.len() == before {
                break;
            }
        }
        let circles: Vec<String> = left.keys().map(|module| module.join("::")).collect();
        assert_eq!(circles, [""; 0], "these are in a circle of {}, or import from one", krate.src);
    }
}

#[test]
fn a_mod_rs_has_docs_and_names_only() {
    for krate in &CRATES {
        for (module, file) in krate.files().iter().filter(|(module, _)| krate.is_mod_rs(module)) {
            for item in &file.items {
                let is_name =
                    matches!(item, Item::Use(_)) || matches!(item, Item::Mod(inner) if inner.content.is_none());
                assert!(is_name, "{}/{}/mod.rs has code: give it a file of its own", krate.src, module.join("/"));
            }
        }
    }
}

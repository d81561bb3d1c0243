//! Docker objects of one test, named `vw-inv-…`, removed at its end whatever happens.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The objects of one test.
pub(crate) struct Bench {
    prefix: String,
    containers: Vec<String>,
    networks: Vec<String>,
    folder: PathBuf,
}

impl Bench {
    /// Makes the image: one static busybox.
    pub(crate) fn new(test: &str) -> Self {
        let prefix = format!("vw-inv-{}-{test}", std::process::id());
        let folder = std::env::temp_dir().join(&prefix);
        let bench = Self { prefix, containers: Vec::new(), networks: Vec::new(), folder };
        let bin = bench.folder.join("root/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::copy("/bin/busybox", bin.join("busybox")).expect("a static busybox is needed");
        let root = bench.folder.join("root");
        let tar = bench.folder.join("image.tar");
        run(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&tar).arg("bin"));
        docker(&["import", tar.to_str().unwrap(), &bench.image()]);
        bench
    }

    /// The image's name.
    pub(crate) fn image(&self) -> String {
        format!("{}:1", self.prefix)
    }

    /// The name of an object.
    pub(crate) fn name(&self, of: &str) -> String {
        format!("{}-{of}", self.prefix)
    }

    /// Starts a container that sleeps; returns its id.
    pub(crate) fn run(&mut self, name: &str, options: &[&str]) -> String {
        self.make(&["run", "-d"], name, options)
    }

    /// Makes such a container without starting it; returns its id.
    pub(crate) fn create(&mut self, name: &str, options: &[&str]) -> String {
        self.make(&["create"], name, options)
    }

    fn make(&mut self, how: &[&str], name: &str, options: &[&str]) -> String {
        let name = self.name(name);
        let image = self.image();
        self.containers.push(name.clone());
        let mut arguments = [how, &["--name", &name]].concat();
        arguments.extend(options);
        arguments.extend([image.as_str(), "/bin/busybox", "sleep", "1000"]);
        docker(&arguments)
    }

    /// Makes a network; returns its id.
    pub(crate) fn network(&mut self, name: &str, options: &[&str]) -> String {
        let name = self.name(name);
        self.networks.push(name.clone());
        let mut arguments = vec!["network", "create"];
        arguments.extend(options);
        arguments.push(&name);
        docker(&arguments)
    }

    /// A container has this name from now on.
    pub(crate) fn renamed(&mut self, name: &str) {
        let name = self.name(name);
        self.containers.push(name);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let quietly = |arguments: &[&str]| {
            Command::new("docker").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().ok();
        };
        for container in &self.containers {
            quietly(&["rm", "-f", container]);
        }
        for network in &self.networks {
            quietly(&["network", "rm", network]);
        }
        quietly(&["rmi", "-f", &self.image()]);
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

/// Runs the Docker client; returns what it printed.
pub(crate) fn docker(arguments: &[&str]) -> String {
    run(Command::new("docker").args(arguments))
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("the command can be started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

//! One side of a bench: an engine, and the images that a test has on it.

use dsync_lab::images::{self, Image, Tree};
use dsync_lab::{Engine, Host};

/// An engine as one test sees it: with names of images that no other test has.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// The host it is on.
    pub host: &'a Host,
    pub(crate) prefix: &'a str,
}

impl Side<'_> {
    /// The engine.
    pub fn engine(&self) -> &Engine {
        self.host.engine()
    }

    /// Runs the engine's client; what it printed, without the last line end.
    #[track_caller]
    pub fn docker(&self, args: &[&str]) -> String {
        let output = self.engine().client().args(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Loads a made up image.
    #[track_caller]
    pub fn put(&self, image: &Image) {
        self.engine().load(&image.archive()).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Makes sure of a real image, built by a recipe of the lab, under a name of this test.
    #[track_caller]
    pub fn put_real(&self, recipe: &str, name: &str) {
        images::get(self.engine(), recipe).unwrap_or_else(|error| panic!("{error}"));
        self.docker(&["tag", recipe, &self.name(name)]);
    }

    /// The ID of an image, by its short name (`web:1`) or its ID.
    pub fn id(&self, name: &str) -> Option<String> {
        self.engine().image_id(&self.name(name))
    }

    /// The diff ids of an image that is there, the lowest first, with line ends between.
    #[track_caller]
    pub fn layers(&self, name: &str) -> String {
        let format = "{{range .RootFS.Layers}}{{println .}}{{end}}";
        self.docker(&["image", "inspect", "--format", format, &self.name(name)])
    }

    /// The files of an image that is there.
    #[track_caller]
    pub fn tree(&self, name: &str) -> Tree {
        images::export_tree(self.engine(), &self.name(name)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// It must be just this image, by ID and diff ids.
    #[track_caller]
    pub fn assert_is(&self, name: &str, image: &Image) {
        assert_eq!(self.id(name), Some(image.id().to_string()), "{name}");
        let layers: Vec<String> = image.layers().iter().map(|layer| layer.diff_id().to_string()).collect();
        assert_eq!(self.layers(name).trim(), layers.join("\n"), "{name}");
    }

    /// The full name of an image of this test; IDs stay as they are.
    pub fn name(&self, name: &str) -> String {
        let is_id = name.starts_with("sha256:");
        if is_id { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }
}

//! The configuration as a file.

use super::Config;

impl Config {
    /// The configuration in force as TOML, with passwords masked. Keys without a value are left out.
    ///
    /// # Errors
    /// When a path is not UTF-8, which TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

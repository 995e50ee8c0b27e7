// Files of credentials: read whole, written whole or not at all, secret ones for their owner only.

import Foundation

/// Reads and writes the small files of a credentials directory.
enum CredentialFile {
  /// The largest file read; a certificate is about one kilobyte.
  static let maxBytes = 1 << 20

  static func read(_ name: String, in directory: String) throws -> String {
    let path = "\(directory)/\(name)"
    guard let data = FileManager.default.contents(atPath: path) else {
      throw CredentialsError(
        "cannot read \(path)",
        why: FileManager.default.fileExists(atPath: path)
          ? "it is not readable for this user" : "there is no such file",
        remedy: "Point `credentials` in [mesh] at a directory made by `grapevine cluster create` or `cluster issue`.")
    }
    guard data.count <= maxBytes, let text = String(data: data, encoding: .utf8) else {
      throw CredentialsError(
        "cannot read \(path)", why: "it is not a small text file", remedy: "Restore it from the cluster directory.")
    }
    return text
  }

  static func createDirectory(_ path: String, mode: Int = 0o755) throws {
    do {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: mode])
    } catch {
      throw CredentialsError(
        "cannot create \(path)", why: String(describing: error), remedy: "Choose a directory this user may write.")
    }
  }

  /// Writes beside the file with the mode already set, then renames over it: a reader sees the old or the new bytes,
  /// and a secret is never readable for others, not even for a moment.
  static func write(_ text: String, to name: String, in directory: String, mode: mode_t) throws {
    let path = "\(directory)/\(name)"
    let temporary = "\(path).new"
    unlink(temporary)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw failure("write", path) }
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else {
        let error = failure("write", path)
        close(descriptor)
        unlink(temporary)
        throw error
      }
      bytes = bytes.dropFirst(count)
    }
    let synced = fsync(descriptor) == 0
    close(descriptor)
    guard synced, rename(temporary, path) == 0 else {
      let error = failure("write", path)
      unlink(temporary)
      throw error
    }
  }

  private static func failure(_ verb: String, _ path: String) -> CredentialsError {
    CredentialsError(
      "cannot \(verb) \(path)", why: String(cString: strerror(errno)),
      remedy: "Check the directory's owner, its mode and the free space.")
  }
}

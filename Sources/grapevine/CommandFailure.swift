// Errors as the command line tells them: what, why, what to do; and the exit statuses.

import Admin
import ArgumentParser
import Daemon
import Foundation
import Transport

/// A verb that failed, or whose answer is no.
struct CommandFailure: Error, CustomStringConvertible {
  /// What failed.
  var what: String
  /// Why; may be empty.
  var why = ""
  /// What to do; may be empty.
  var remedy = ""
  /// 1: asked and the answer is no, or it failed. 2: the command line is wrong.
  var status: Int32 = 1

  /// The lines on standard error.
  var description: String {
    var text = "grapevine: \(what)"
    if !why.isEmpty { text += "\n  why: \(why)" }
    if !remedy.isEmpty { text += "\n  do:  \(remedy)" }
    return text
  }

  /// Any error of the rooms below, in the same three parts.
  init(_ error: any Error) {
    switch error {
    case let failure as CommandFailure: self = failure
    case let failure as AdminFailure: self.init(what: failure.what, why: failure.why, remedy: failure.remedy)
    case let error as CredentialsError: self.init(what: error.what, why: error.why, remedy: error.remedy)
    case let error as ClusterError: self.init(what: error.what, why: error.why, remedy: error.remedy)
    case let error as ConfigurationError:
      self.init(
        what: "the configuration \(error.file) cannot be used",
        why: error.key.isEmpty ? error.what : "\(error.key): \(error.what)", remedy: error.remedy)
    case let error as CocoaError:
      let reason = (error.userInfo[NSUnderlyingErrorKey] as? NSError)?.localizedDescription
      self.init(what: "cannot read or write \(error.filePath ?? "a file")", why: reason ?? error.localizedDescription)
    default: self.init(what: String(describing: error))
    }
  }

  init(what: String, why: String = "", remedy: String = "", status: Int32 = 1) {
    self.what = what
    self.why = why
    self.remedy = remedy
    self.status = status
  }

  /// Prints the error, or the help that was asked for, and ends the process.
  static func end(with error: any Error) -> Never {
    if let code = error as? ExitCode { exit(code.rawValue) }
    if Grapevine.exitCode(for: error) == .success {
      print(Grapevine.fullMessage(for: error))
      exit(0)
    }
    if Grapevine.exitCode(for: error) == .validationFailure {
      StandardError.write(Grapevine.fullMessage(for: error))
      exit(2)
    }
    let failure = CommandFailure(error)
    StandardError.write(failure.description)
    exit(failure.status)
  }
}

/// Standard error, a line at a time.
enum StandardError {
  /// Whether a person is looking: then long work shows its progress.
  static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  static func write(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
}

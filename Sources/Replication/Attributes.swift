// What stat and getxattr tell of a file or directory, besides its content.

/// A point in time as the file system counts it.
public struct FileTime: Hashable, Comparable, Sendable {
  /// Seconds since 1970.
  public var seconds: Int64
  /// Nanoseconds, 0..<1,000,000,000.
  public var nanoseconds: UInt32

  /// Joins both parts.
  public init(seconds: Int64, nanoseconds: UInt32) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }

  /// Later is greater.
  public static func < (left: FileTime, right: FileTime) -> Bool {
    (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
  }
}

/// An extended attribute.
public struct ExtendedAttribute: Hashable, Sendable {
  /// Its full name, such as `user.comment`.
  public var name: [UInt8]
  /// Its value.
  public var value: [UInt8]

  /// Joins name and value.
  public init(name: [UInt8], value: [UInt8]) {
    self.name = name
    self.value = value
  }
}

/// The attributes register of a file or directory: replicated as one value.
public struct Attributes: Hashable, Sendable {
  /// Permission bits with set-uid, set-gid and sticky: 0...0o7777.
  public var mode: UInt32
  /// Owner.
  public var owner: UInt32
  /// Group.
  public var group: UInt32
  /// Last access, as set by programs; reads do not move it.
  public var accessed: FileTime
  /// Last change of the content.
  public var modified: FileTime
  /// Sorted by name.
  public var extended: [ExtendedAttribute]

  /// All parts; nothing extended unless given.
  public init(
    mode: UInt32, owner: UInt32 = 0, group: UInt32 = 0, accessed: FileTime = FileTime(seconds: 0, nanoseconds: 0),
    modified: FileTime = FileTime(seconds: 0, nanoseconds: 0), extended: [ExtendedAttribute] = []
  ) {
    self.mode = mode & 0o7777
    self.owner = owner
    self.group = group
    self.accessed = accessed
    self.modified = modified
    self.extended = extended
  }

  /// The value of an extended attribute.
  public subscript(extended name: [UInt8]) -> [UInt8]? {
    get { extended.first { $0.name == name }?.value }
    set {
      extended.removeAll { $0.name == name }
      guard let newValue else { return }
      let place = extended.firstIndex { name.lexicographicallyPrecedes($0.name) } ?? extended.endIndex
      extended.insert(ExtendedAttribute(name: name, value: newValue), at: place)
    }
  }
}

// Page 1, some bytes of which belong to the node and not to the content.

/// The rules of page 1.
///
/// The journal mode (bytes 18 and 19) is each node's own choice; the change counter (24 to 27), the version it is valid
/// for (92 to 95) and the library version (96 to 99) are housekeeping of whoever wrote last. None of them is content.
public enum PageOne {
  /// Makes page 1 the same on every node that holds the same content: as it is captured, recorded and hashed. The
  /// result is still page 1 of a valid database, in rollback mode.
  public static func canonicalize(_ page: inout [UInt8]) {
    precondition(page.count >= DatabaseHeader.length)
    page[18] = 1
    page[19] = 1
    for index in 24..<28 { page[index] = 0 }
    for index in 92..<100 { page[index] = 0 }
  }

  /// Whether two pages 1 hold the same content, whatever their journal modes and counters.
  public static func isSameContent(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count, left.count >= DatabaseHeader.length else { return left == right }
    var (left, right) = (left, right)
    canonicalize(&left)
    canonicalize(&right)
    return left == right
  }

  /// The schema cookie of a page 1.
  public static func schemaCookie(of page: [UInt8]) -> UInt32 { BigEndian.read(page, at: 40) }

  /// What the schema cookie becomes when an image is installed. A connection trusts the schema it has read for as long
  /// as the cookie stays the same.
  public enum Cookie: Hashable, Sendable {
    /// The image follows the recorded state, which had this cookie. The image's cookie is taken, unless the local one
    /// was raised above the recorded one before: then it moves when, and only when, the image's moves.
    case following(UInt32)
    /// The image replaces content it did not follow: above both.
    case aboveAll

    func result(image: UInt32, local: UInt32) -> UInt32 {
      switch self {
      case .following(let base) where local == base: image
      case .following(let base) where image == base: local
      case .following, .aboveAll: max(image, local) &+ 1
      }
    }
  }

  /// Page 1 as it is installed: the image's content with this node's own bytes.
  ///
  /// The change counter always exceeds the local one, or open connections would answer from their caches.
  static func localized(
    _ image: [UInt8], over local: [UInt8], pageCount: UInt32, cookie: Cookie, kindOfNew: JournalKind
  ) -> [UInt8] {
    precondition(image.count >= DatabaseHeader.length && local.count >= DatabaseHeader.length)
    var page = image
    let isNew = local[18] == 0
    let versionOfNew: UInt8 = kindOfNew == .log ? 2 : 1
    page[18] = isNew ? versionOfNew : local[18]
    page[19] = isNew ? versionOfNew : local[19]
    let localCounter = BigEndian.read(local, at: 24)
    let imageCounter = BigEndian.read(image, at: 24)
    let counter = imageCounter > localCounter ? imageCounter : localCounter &+ 1
    BigEndian.write(counter, &page, at: 24)
    BigEndian.write(counter, &page, at: 92)
    BigEndian.write(pageCount, &page, at: 28)
    if BigEndian.read(page, at: 96) == 0 { BigEndian.write(BigEndian.read(local, at: 96), &page, at: 96) }
    if !isNew {
      BigEndian.write(cookie.result(image: schemaCookie(of: image), local: schemaCookie(of: local)), &page, at: 40)
    }
    return page
  }
}

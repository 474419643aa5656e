"""Azure Blob Storage: block blobs, by Microsoft's own client.

An upload stages blocks that nobody sees and commits them as the blob. Blocks belong to the blob's
name, not to an upload, and a commit throws away all that it does not name: so of two attempts at
once the first to commit wins, and the other one's blocks are gone. Besides, each commit is
conditional: on the version of the blob that was there when the upload began.

Blocks that a failed or killed attempt has left are invisible, and thrown away by the next commit of
that name, at the latest by the store after a week. Azure has no request that removes blocks alone:
where a name will not be used again, `AzureStore.discard` puts an empty blob in its place and
deletes it at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from tradewind.errors import InputError, RetryError
from tradewind.move.store import ObjectInfo, ServerCopy, Unfinished, Upload
from tradewind.redaction import refuse_signed, shown_uri
from tradewind.systems.azure.blobs import info_of, spelled
from tradewind.systems.azure.container import READ_BYTES, Container
from tradewind.systems.azure.copy_from_url import MOST_BYTES, copy_from_url
from tradewind.systems.azure.credentials import of_environment
from tradewind.systems.azure.errors import code_of, translated
from tradewind.systems.azure.upload import AzureUpload

__all__ = ["AzureStore"]

_DELETERS = 8


class AzureStore(Container):
    """A container of Azure Blob Storage.

    Memory: an upload (`connections` + 2) `part_bytes`; a read 8 MB.

    Args:
        container: Its name.
        account: The storage account's.
        credential: An account key, a shared access signature, what azure-identity makes
            (`TokenCredential`: renewed when it expires, also while data are moving), or a function
            that makes any of these. What azure-identity finds by itself when not given.
        endpoint: The account's address, where it is not
            ``https://ACCOUNT.blob.core.windows.net``.
        part_bytes: Size of the blocks that a blob is sent in.
        connections: How many blocks are on their way at once.
        options: Further arguments of `azure.storage.blob.ContainerClient`.
    """

    @classmethod
    def from_uri(cls, uri: str, *, account: str | None = None, **options: Any) -> tuple[Self, str]:
        """Make the store of a URI ``az://CONTAINER/KEY``.

        Account and credential come from the variables that Azure's own command line reads:
        ``AZURE_STORAGE_CONNECTION_STRING``, or ``AZURE_STORAGE_ACCOUNT`` with
        ``AZURE_STORAGE_KEY``, ``AZURE_STORAGE_SAS_TOKEN`` or what azure-identity finds.

        Args:
            uri: Container and key.
            account: The storage account's name.
            options: Further arguments.

        Returns:
            The store and the key.

        Raises:
            InputError: It is no such URI, or the account is not known.
        """
        scheme, _, rest = uri.partition("://")
        container, _, key = rest.partition("/")
        if scheme != "az" or not container or "@" in container:
            raise InputError(f"{shown_uri(uri)!r} is not of the form az://CONTAINER/KEY.")
        refuse_signed(uri)
        known = of_environment(account)
        if not known.get("account"):
            raise InputError(
                f"az://{container}: name the storage account, as account=NAME or in "
                "AZURE_STORAGE_ACCOUNT."
            )
        return cls(container, **{**known, **options}), key

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Describe all blobs whose names begin with `prefix`, in the order of their names."""
        super().check_key(prefix)
        with translated(self.describe(prefix), "list blobs"):
            for blob in self.client.list_blobs(name_starts_with=prefix or None):
                yield info_of(blob)

    def read(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """Read one blob in pieces of 8 MB, going on after a broken connection.

        Raises:
            InputError: There is no such blob.
            RetryError: It was replaced meanwhile, or is not the version that is wanted.
        """
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError

        found = self.head(key)
        if found is None:
            raise InputError(f"There is no blob {self.uri(key)}. Correct its name, or make it.")
        wanted = etag or found.etag
        at = 0
        while at < found.size:
            with translated(self.describe(key), "read"):
                try:
                    piece = (
                        self.client.get_blob_client(key)
                        .download_blob(
                            offset=at,
                            length=min(READ_BYTES, found.size - at),
                            etag=f'"{wanted}"',
                            match_condition=MatchConditions.IfNotModified,
                            decompress=False,
                        )
                        .readall()
                    )
                except ResourceModifiedError as error:
                    raise RetryError(
                        f"{self.uri(key)} was replaced by another version than {wanted}. Try again."
                    ) from error
            at += len(piece)
            yield piece

    def upload(
        self,
        key: str,
        *,
        content_type: str | None = None,
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
        create_only: bool = False,
        replaces: str | None = None,
    ) -> Upload:
        """Begin to write a blob; it completes only where nobody else has replaced it since."""
        if not key:
            raise InputError(f"{self.uri()}: the blob has no name. Write az://container/key.")
        self.check_key(key, writing=True)
        from azure.storage.blob import ContentSettings

        expected = create_only or replaces is not None
        if not expected:
            found = self.head(key)
            replaces = found.etag if found else None
        settings = ContentSettings(content_type=content_type, content_encoding=content_encoding)
        named = {spelled(name): text for name, text in (metadata or {}).items()}
        return AzureUpload(self, key, settings, named, replaces, expected)

    def copy_within(self, order: ServerCopy) -> str | None:
        """Copy from the blob's address, up to 256 MiB; larger ones and ACLs are streamed."""
        source, large = order.source, order.described.info.size > MOST_BYTES
        if not isinstance(source, AzureStore) or large or order.acl or order.version:
            return None
        return copy_from_url(source, order, self)

    def unfinished(self, prefix: str = "") -> Iterator[Unfinished]:
        """List names that have blocks but no blob yet, without `prefix` itself if it is a name.

        What was left under a name that is about to be written is thrown away by that commit.
        """
        with translated(self.describe(prefix), "list uncommitted blobs"):
            client = self.client
            found = client.list_blobs(name_starts_with=prefix or None, include=["uncommittedblobs"])
            for blob in found:
                if blob.size or blob.name == prefix:
                    continue
                committed, staged = client.get_blob_client(blob.name).get_block_list("all")
                if staged and not committed and self.head(blob.name) is None:
                    yield Unfinished(blob.name, "blocks", blob.last_modified)

    def discard(self, left: Unfinished) -> None:
        """Throw staged blocks away: an empty blob takes their place and is deleted at once."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError

        blob = self.client.get_blob_client(left.key)
        with translated(self.describe(left.key), "discard an upload"):
            try:
                put = blob.commit_block_list([], match_condition=MatchConditions.IfMissing)
            except (ResourceExistsError, ResourceModifiedError):
                # Committed meanwhile: it is a blob now and nothing unfinished.
                return
            self._delete(left.key, etag=str(put["etag"]))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete blobs; those that are not there count as deleted."""

        def one(key: str) -> None:
            self.check_key(key)
            with translated(self.describe(key), "delete the blob"):
                self._delete(key)

        with ThreadPoolExecutor(_DELETERS, thread_name_prefix="tradewind-delete") as pool:
            for _ in pool.map(one, keys):
                pass

    def create(self) -> None:
        """Make the container; one that is there stays as it is."""
        from azure.core.exceptions import ResourceExistsError

        with (
            translated(self.describe(), "make the container"),
            contextlib.suppress(ResourceExistsError),
        ):
            self.client.create_container()

    def delete_version(self, key: str, etag: str) -> bool:
        """Delete a blob if it is this version of it; see `Store.delete_version`."""
        self.check_key(key)
        with translated(self.describe(key), "delete the blob"):
            # A blob that is not there has no version either.
            return self._delete(key, etag=f'"{etag}"') or self.head(key) is None

    def _delete(self, key: str, etag: str | None = None) -> bool:
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        condition: dict[str, Any] = {}
        if etag is not None:
            condition = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
        try:
            self.client.get_blob_client(key).delete_blob(**condition)
        except ResourceModifiedError:
            return False
        except ResourceNotFoundError as error:
            if code_of(error) == "ContainerNotFound":
                raise
        return True

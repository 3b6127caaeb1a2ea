# SPDX-License-Identifier: Apache-2.0
"""What the tests stand on: a real gateway, a simulator, a scripted model server, raw sockets."""

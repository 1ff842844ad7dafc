# The Debian package dropoutd: server, dropoutctl, unit and config; made by ./dev package.
set(package ${CMAKE_CURRENT_LIST_DIR})
install(FILES ${package}/dropoutd.service DESTINATION /usr/lib/systemd/system COMPONENT server)
install(FILES ${package}/dropoutd.toml DESTINATION /etc/dropoutd COMPONENT server)

# Packaging takes what was built, and does not build the tests.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME dropoutd)
set(CPACK_PACKAGE_VENDOR dropoutd)
set(CPACK_PACKAGE_CONTACT "The maintainers of dropoutd <dropoutd@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Dropout layers over gRPC: server and command-line client")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL server tools)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/conffiles "/etc/dropoutd/dropoutd.toml\n")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${package}/postinst ${package}/prerm ${package}/postrm ${CMAKE_CURRENT_BINARY_DIR}/conffiles)
include(CPack)
